//! Small stand-ins for Kubernetes components where the real ones can't be had
