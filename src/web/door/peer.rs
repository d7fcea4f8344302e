//! Whose a connection over loopback is, by the system's own list of sockets. Only Linux has one that everybody may
//! read (`/proc/net/tcp`, described in proc_pid_net(5)); elsewhere nobody's connection counts as one's own.

use std::net::SocketAddr;

/// Whether the client at the other end of a connection to `port` runs as the user who runs this program.
#[cfg(target_os = "linux")]
pub(super) fn is_own(client: SocketAddr, port: u16) -> bool {
    use std::os::unix::fs::MetadataExt;

    let Ok(own) = std::fs::metadata("/proc/self") else {
        return false;
    };
    // A client may have a socket for both versions of IP, which stands in the other list.
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|list| {
        let list = std::fs::read_to_string(list).unwrap_or_default();
        owner(&list, client, port) == Some(own.uid())
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_own(_client: SocketAddr, _port: u16) -> bool {
    false
}

/// The user who has the socket of a client that is connected to `port` of the same address.
#[cfg(target_os = "linux")]
fn owner(list: &str, client: SocketAddr, port: u16) -> Option<u32> {
    let SocketAddr::V4(client) = client else {
        return None;
    };
    // As the kernel prints it: a number in the machine's own order of bytes.
    let loopback = hexadecimal([127, 0, 0, 1]);
    let local = format!(
        "{}:{:04X}",
        hexadecimal(client.ip().octets()),
        client.port()
    );
    let remote = format!("{loopback}:{port:04X}");
    list.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let its_local = fields.next()?;
        let its_remote = fields.next()?;
        if !ends(its_local, &local) || !ends(its_remote, &remote) {
            return None;
        }
        // After the state, the queues, the timer and what was sent again.
        fields.nth(4)?.parse().ok()
    })
}

/// An address of either list: in the one of IPv6 an IPv4 address has this before it (RFC 4291, 2.5.5.2).
#[cfg(target_os = "linux")]
fn ends(field: &str, address: &str) -> bool {
    let mapped = format!("{:016X}{}", 0, hexadecimal([0, 0, 255, 255]));
    field
        .strip_suffix(address)
        .is_some_and(|before| before.is_empty() || before == mapped)
}

#[cfg(target_os = "linux")]
fn hexadecimal(octets: [u8; 4]) -> String {
    format!("{:08X}", u32::from_ne_bytes(octets))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_of_ours_is_told_from_one_of_another_user() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let client = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let from = client.local_addr().expect("connected");
        assert!(is_own(from, port));
        // The same list, as if root had that socket, and as if the socket were for both versions of IP.
        let list = std::fs::read_to_string("/proc/net/tcp").expect("a list");
        let own = owner(&list, from, port).expect("in the list");
        let local = format!("{}:{:04X}", hexadecimal([127, 0, 0, 1]), from.port());
        let line = list
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(&local))
            .expect("a line");
        let user = |list: &str| owner(&format!("head\n{list}"), from, port);
        assert_eq!(user(line), Some(own));
        let mut fields: Vec<&str> = line.split_whitespace().collect();
        fields[7] = "4242";
        assert_eq!(user(&fields.join(" ")), Some(4242));
        let before = format!("{:016X}{}", 0, hexadecimal([0, 0, 255, 255]));
        let (mapped, other) = (
            format!("{before}{}", fields[1]),
            format!("{before}{}", fields[2]),
        );
        (fields[1], fields[2]) = (&mapped, &other);
        assert_eq!(user(&fields.join(" ")), Some(4242));
        // Our own end of it is no client of ours.
        assert!(!is_own(listener.local_addr().expect("bound"), port));
        drop(client);
    }
}
