//! The implementation over libvirt's bindings.

use super::{
    DomainSeen, DomainState, Format, Hypervisor, NetworkSeen, Node, PoolSeen, VolumeSeen,
    unexpected,
};
use crate::error::{Answer, Fault};
use crate::xml;
use hakube_provider::ErrorKind;
use std::io::Read;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::network::Network;
use virt::storage_pool::StoragePool;
use virt::storage_vol::StorageVol;
use virt::stream::Stream;
use virt::sys;

/// The size of one piece of a volume's data. A libvirt stream message holds 256 KiB.
const PIECE: usize = 256 * 1024;

/// Connects to the libvirt at this URI.
pub(crate) fn open(uri: &str) -> Answer<Connection> {
    // libvirt would also print each error to stderr.
    virt::error::clear_error_callback();
    Ok(Connection(Connect::open(Some(uri))?))
}

/// A connection to a libvirt.
pub(crate) struct Connection(Connect);

/// Returns the found object, or `None` if libvirt reports that it doesn't exist.
fn unless_missing<T>(found: Result<T, Error>, missing: ErrorNumber) -> Answer<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == missing => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Connection {
    fn find_domain(&self, name: &str) -> Answer<Option<Domain>> {
        unless_missing(
            Domain::lookup_by_name(&self.0, plain(name)?),
            ErrorNumber::NoDomain,
        )
    }

    fn known_domain(&self, name: &str) -> Answer<Domain> {
        Ok(Domain::lookup_by_name(&self.0, plain(name)?)?)
    }

    fn find_network(&self, name: &str) -> Answer<Option<Network>> {
        unless_missing(
            Network::lookup_by_name(&self.0, plain(name)?),
            ErrorNumber::NoNetwork,
        )
    }

    fn known_network(&self, name: &str) -> Answer<Network> {
        Ok(Network::lookup_by_name(&self.0, plain(name)?)?)
    }

    fn known_pool(&self, name: &str) -> Answer<StoragePool> {
        Ok(StoragePool::lookup_by_name(&self.0, plain(name)?)?)
    }

    fn find_volume(&self, pool: &str, name: &str) -> Answer<Option<StorageVol>> {
        let pool = self.known_pool(pool)?;
        unless_missing(
            StorageVol::lookup_by_name(&pool, plain(name)?),
            ErrorNumber::NoStorageVolume,
        )
    }

    fn known_volume(&self, pool: &str, name: &str) -> Answer<StorageVol> {
        let pool = self.known_pool(pool)?;
        Ok(StorageVol::lookup_by_name(&pool, plain(name)?)?)
    }
}

/// The bindings panic on a NUL in a string.
fn plain(text: &str) -> Answer<&str> {
    if text.contains('\0') {
        return Err(Fault::new(ErrorKind::Invalid, "a name contains a NUL"));
    }
    Ok(text)
}

impl Hypervisor for Connection {
    fn alive(&self) -> bool {
        self.0.is_alive().unwrap_or(false)
    }

    fn capabilities(&self) -> Answer<String> {
        Ok(self.0.get_capabilities()?)
    }

    fn domain_capabilities(&self, arch: &str, kind: &str) -> Answer<Option<String>> {
        unless_missing(
            self.0
                .get_domain_capabilities(None, Some(arch), None, Some(kind), 0),
            ErrorNumber::NoSupport,
        )
    }

    fn node(&self) -> Answer<Node> {
        let node = self.0.get_node_info()?;
        Ok(Node {
            cpus: node.cpus,
            memory_mib: node.memory / 1024,
        })
    }

    fn domains(&self) -> Answer<Vec<DomainSeen>> {
        let domains = self.0.list_all_domains(0)?;
        let seen = domains.iter().map(seen_domain);
        // Deleted since it was listed.
        let there = seen.filter_map(|seen| match seen {
            Err(error) if error.code() == ErrorNumber::NoDomain => None,
            seen => Some(seen),
        });
        Ok(there.collect::<Result<_, _>>()?)
    }

    fn domain(&self, name: &str) -> Answer<Option<DomainSeen>> {
        let Some(domain) = self.find_domain(name)? else {
            return Ok(None);
        };
        unless_missing(seen_domain(&domain), ErrorNumber::NoDomain)
    }

    fn define_domain(&self, xml: &str) -> Answer<()> {
        Ok(Domain::define_xml(&self.0, plain(xml)?).map(drop)?)
    }

    fn autostart_domain(&self, name: &str) -> Answer<()> {
        Ok(self.known_domain(name)?.set_autostart(true).map(drop)?)
    }

    fn start_domain(&self, name: &str) -> Answer<()> {
        Ok(self.known_domain(name)?.create().map(drop)?)
    }

    fn resume_domain(&self, name: &str) -> Answer<()> {
        Ok(self.known_domain(name)?.resume().map(drop)?)
    }

    fn destroy_domain(&self, name: &str) -> Answer<()> {
        match self.find_domain(name)? {
            Some(domain) if domain.is_active()? => Ok(domain.destroy()?),
            _ => Ok(()),
        }
    }

    fn undefine_domain(&self, name: &str) -> Answer<()> {
        let Some(domain) = self.find_domain(name)? else {
            return Ok(());
        };
        let described = domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
        let mut flags =
            sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
        if described.contains("<nvram") || described.contains("firmware='efi'") {
            flags |= sys::VIR_DOMAIN_UNDEFINE_NVRAM;
        }
        // Not every driver knows checkpoints.
        match domain.undefine_flags(flags | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA) {
            Err(error) if error.code() == ErrorNumber::InvalidArg => {
                Ok(domain.undefine_flags(flags)?)
            }
            undefined => Ok(undefined?),
        }
    }

    fn networks(&self) -> Answer<Vec<NetworkSeen>> {
        let networks = self.0.list_all_networks(0)?;
        Ok(networks
            .iter()
            .map(seen_network)
            .collect::<Result<_, _>>()?)
    }

    fn network(&self, name: &str) -> Answer<Option<NetworkSeen>> {
        let Some(network) = self.find_network(name)? else {
            return Ok(None);
        };
        unless_missing(seen_network(&network), ErrorNumber::NoNetwork)
    }

    fn define_network(&self, xml: &str) -> Answer<()> {
        Ok(Network::define_xml(&self.0, plain(xml)?).map(drop)?)
    }

    fn autostart_network(&self, name: &str) -> Answer<()> {
        Ok(self.known_network(name)?.set_autostart(true).map(drop)?)
    }

    fn start_network(&self, name: &str) -> Answer<()> {
        Ok(self.known_network(name)?.create().map(drop)?)
    }

    fn destroy_network(&self, name: &str) -> Answer<()> {
        match self.find_network(name)? {
            Some(network) if network.is_active()? => Ok(network.destroy()?),
            _ => Ok(()),
        }
    }

    fn undefine_network(&self, name: &str) -> Answer<()> {
        match self.find_network(name)? {
            Some(network) => Ok(network.undefine()?),
            None => Ok(()),
        }
    }

    fn pool(&self, name: &str) -> Answer<Option<PoolSeen>> {
        let found = StoragePool::lookup_by_name(&self.0, plain(name)?);
        let Some(pool) = unless_missing(found, ErrorNumber::NoStoragePool)? else {
            return Ok(None);
        };
        let described = pool.get_xml_desc(0)?;
        let described = xml::parse(&described)?;
        let root = described.root_element();
        let path = xml::descend(root, &["target", "path"]).and_then(|path| path.text());
        Ok(Some(PoolSeen {
            active: pool.is_active()?,
            kind: root.attribute("type").unwrap_or_default().to_owned(),
            path: path.unwrap_or_default().to_owned(),
            available: pool.get_info()?.available,
        }))
    }

    fn refresh_pool(&self, pool: &str) -> Answer<()> {
        Ok(self.known_pool(pool)?.refresh(0).map(drop)?)
    }

    fn volumes(&self, pool: &str) -> Answer<Vec<String>> {
        let volumes = self.known_pool(pool)?.list_all_volumes(0)?;
        Ok(volumes
            .iter()
            .map(StorageVol::get_name)
            .collect::<Result<_, _>>()?)
    }

    fn volume(&self, pool: &str, name: &str) -> Answer<Option<VolumeSeen>> {
        let Some(volume) = self.find_volume(pool, name)? else {
            return Ok(None);
        };
        let described = volume.get_xml_desc(0)?;
        let described = xml::parse(&described)?;
        let root = described.root_element();
        let format =
            xml::descend(root, &["target", "format"]).and_then(|format| format.attribute("type"));
        Ok(Some(VolumeSeen {
            path: volume.get_path()?,
            format: match format {
                Some("qcow2") => Format::Qcow2,
                _ => Format::Raw,
            },
            capacity: volume.get_info()?.capacity,
        }))
    }

    fn create_volume(&self, pool: &str, xml: &str) -> Answer<()> {
        let pool = self.known_pool(pool)?;
        Ok(StorageVol::create_xml(&pool, plain(xml)?, 0).map(drop)?)
    }

    fn delete_volume(&self, pool: &str, name: &str) -> Answer<()> {
        match self.find_volume(pool, name)? {
            Some(volume) => Ok(volume.delete(0).map(drop)?),
            None => Ok(()),
        }
    }

    fn upload(&self, pool: &str, name: &str, content: &mut dyn Read, length: u64) -> Answer<()> {
        let volume = self.known_volume(pool, name)?;
        let stream = Stream::new(&self.0, 0)?;
        volume.upload(&stream, 0, length, 0)?;
        match send(&stream, content, length) {
            Ok(()) => Ok(stream.finish()?),
            Err(fault) => {
                let _ = stream.abort();
                Err(fault)
            }
        }
    }

    fn tail(&self, pool: &str, name: &str, at_most: u64) -> Answer<Vec<u8>> {
        let volume = self.known_volume(pool, name)?;
        let length = volume.get_info()?.capacity;
        let offset = length.saturating_sub(at_most);
        if offset == length {
            return Ok(Vec::new());
        }
        let stream = Stream::new(&self.0, 0)?;
        volume.download(&stream, offset, length - offset, 0)?;
        let mut bytes = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            match stream.recv(&mut piece)? {
                0 => break,
                received => bytes.extend_from_slice(&piece[..received]),
            }
        }
        stream.finish()?;
        Ok(bytes)
    }
}

/// Sends `length` bytes of the content.
fn send(stream: &Stream, content: &mut dyn Read, length: u64) -> Answer<()> {
    let mut left = length;
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let room = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        let read = content
            .read(&mut piece[..room])
            .map_err(|error| unexpected(format!("can't read the data to upload: {error}")))?;
        if read == 0 {
            return Err(unexpected(
                "the data to upload became shorter during the upload",
            ));
        }
        let mut sent = 0;
        while sent < read {
            sent += stream.send(&piece[sent..read])?;
        }
        left -= read as u64;
    }
    Ok(())
}

fn seen_domain(domain: &Domain) -> Result<DomainSeen, Error> {
    let (state, _) = domain.get_state()?;
    Ok(DomainSeen {
        name: domain.get_name()?,
        state: match state {
            sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED => DomainState::Running,
            sys::VIR_DOMAIN_PAUSED | sys::VIR_DOMAIN_PMSUSPENDED => DomainState::Paused,
            sys::VIR_DOMAIN_SHUTDOWN => DomainState::Stopping,
            _ => DomainState::Off,
        },
        xml: domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?,
    })
}

fn seen_network(network: &Network) -> Result<NetworkSeen, Error> {
    // A driver without a separate inactive description rejects the flag.
    let described = match network.get_xml_desc(sys::VIR_NETWORK_XML_INACTIVE) {
        Err(error) if error.code() == ErrorNumber::InvalidArg => network.get_xml_desc(0)?,
        described => described?,
    };
    Ok(NetworkSeen {
        name: network.get_name()?,
        active: network.is_active()?,
        autostart: network.get_autostart()?,
        xml: described,
    })
}
