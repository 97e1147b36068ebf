"""cloud-init's own data source for Google Compute Engine, in a container.

Two things differ. A machine of Google's says so in its DMI table, which a container can't have. And cloud-init would
ask for an address by DHCP; here the network is up already.
"""

from cloudinit.sources import DataSourceGCE as google

google.platform_reports_gce = lambda: True
google.DataSourceGCELocal.perform_dhcp_setup = False

get_datasource_list = google.get_datasource_list
