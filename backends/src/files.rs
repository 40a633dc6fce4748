//! Reading a file that somebody else wrote: bounded, never waiting, and with "not there" apart from
//! "cannot be read".

use std::fs::{self, File, FileType};
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// What is at `path`, links followed. None if nothing is, which a link that leads nowhere is not.
pub(crate) fn kind(path: &Path) -> io::Result<Option<FileType>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(to) => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("it is a link to {}, which is not there", to.display()),
            )),
            Err(_) => Ok(None),
        },
        Err(error) => Err(error),
    }
}

/// Whether a folder is at `path`; an error where that cannot be known.
pub(crate) fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(kind(path)?.is_some_and(|kind| kind.is_dir()))
}

/// The bytes of the regular file at `path`, at most `most` of them. What the caller's own shell hands
/// over as `/dev/fd/N` may be a pipe.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let kind = match kind(path)? {
        Some(kind) => kind,
        None => return Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let is_handed_over = path == Path::new("/dev/stdin")
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.parent() == Some(Path::new(folder)));
    let is_pipe = kind.is_fifo() && is_handed_over;
    if !kind.is_file() && !is_pipe {
        return Err(not_a_file(kind));
    }
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        Ok(bytes)
    } else {
        Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {} MiB", most >> 20),
        ))
    }
}

/// The same as text.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is not UTF-8 text, at line {line}"),
        )
    })
}

/// The error for something that is not a regular file.
pub(crate) fn not_a_file(kind: FileType) -> io::Error {
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, not a regular file"),
    )
}
