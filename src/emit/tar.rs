//! A tar archive of written entries: how a graph carries symbolic links and setuid bits to engines
//! whose file operations know neither (`FileActionSymlink` is newer than BuildKit 0.13).

use crate::plan::{Content, Entry};

const BLOCK: usize = 512;

/// The entries as a POSIX.1-1988 archive (ustar), time stamps in seconds since 1970. Paths longer
/// than a header holds get a GNU long-name entry.
pub(super) fn archive(entries: &[Entry], timestamp: i64) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let path = entry.path.trim_start_matches('/').to_owned();
        let (kind, link, data): (u8, &str, &[u8]) = match &entry.content {
            Content::File(bytes) => (b'0', "", bytes),
            Content::Link(to) => (b'2', to, &[]),
            Content::Folder => (b'5', "", &[]),
        };
        if path.len() >= 100 {
            long(&mut out, b'L', &path);
        }
        if link.len() >= 100 {
            long(&mut out, b'K', link);
        }
        let head = Header { path: &path, link, kind, size: data.len(), mode: entry.mode };
        out.extend(header(&head, entry.owner, timestamp));
        padded(&mut out, data);
    }
    out.extend([0; 2 * BLOCK]);
    out
}

struct Header<'h> {
    path: &'h str,
    link: &'h str,
    kind: u8,
    size: usize,
    mode: u32,
}

fn long(out: &mut Vec<u8>, kind: u8, text: &str) {
    let mut data = text.as_bytes().to_vec();
    data.push(0);
    let head = Header { path: "././@LongLink", link: "", kind, size: data.len(), mode: 0 };
    out.extend(header(&head, (0, 0), 0));
    padded(out, &data);
}

fn padded(out: &mut Vec<u8>, data: &[u8]) {
    out.extend(data);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

fn header(head: &Header<'_>, (uid, gid): (u32, u32), timestamp: i64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    let cut = |text: &str| text.as_bytes()[..text.len().min(99)].to_vec();
    put(0, &cut(head.path));
    put(100, format!("{:07o}", head.mode).as_bytes());
    put(108, format!("{uid:07o}").as_bytes());
    put(116, format!("{gid:07o}").as_bytes());
    put(124, format!("{:011o}", head.size).as_bytes());
    put(136, format!("{:011o}", timestamp.max(0)).as_bytes());
    put(148, b"        ");
    put(156, &[head.kind]);
    put(157, &cut(head.link));
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
