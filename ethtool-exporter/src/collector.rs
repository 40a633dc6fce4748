//! One collection: the wanted statistics of all wanted devices, as they are now.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::DeviceName;
use crate::ethtool::answer::{self, DriverInfo, Malformed};
use crate::ethtool::{Ethtool, Question};
use crate::layout::Layout;
use crate::log::log_line;
use crate::selection::Selection;

/// How often a device is asked again when its number of statistics changed between two requests.
const ATTEMPTS: u32 = 3;

/// Asks the devices, and remembers what seldom changes about them.
#[derive(Debug)]
pub struct Collector<E> {
    ethtool: E,
    selection: Selection,
    known: BTreeMap<DeviceName, Known>,
}

/// A wanted device, as the last collection found it.
#[derive(Debug)]
struct Known {
    info: Arc<DriverInfo>,
    layout: Option<Arc<Layout>>,
    // The last logged failure: logged again only when it changes.
    failure: Option<String>,
}

/// A collection.
#[derive(Debug)]
pub struct Collection {
    /// The wanted devices, sorted by name.
    pub devices: Vec<Reading>,
}

/// What one device gave.
#[derive(Debug)]
pub struct Reading {
    /// Which device.
    pub device: DeviceName,
    /// Its driver.
    pub info: Arc<DriverInfo>,
    /// Its wanted statistics; `None` where it failed.
    pub statistics: Option<Statistics>,
    /// How long it took.
    pub took: Duration,
}

/// A device's wanted statistics: as many values as the layout has [wanted](Layout::wanted) names.
#[derive(Debug)]
pub struct Statistics {
    /// The names.
    pub layout: Arc<Layout>,
    /// The values.
    pub values: Vec<u64>,
}

/// Why a device could not be read.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the kernel refuses to read it")]
    Kernel(#[source] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("its number of statistics kept changing while it was read")]
    Unsteady,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl Failure {
    fn is(&self, errno: i32) -> bool {
        matches!(self, Self::Kernel(error) if error.raw_os_error() == Some(errno))
    }
}

impl<E: Ethtool> Collector<E> {
    /// A collector that has asked nothing yet.
    pub fn new(ethtool: E, selection: Selection) -> Self {
        Self {
            ethtool,
            selection,
            known: BTreeMap::new(),
        }
    }

    /// Reads all wanted devices, one after the other. One that fails is in the collection without
    /// statistics; one that has gone is not.
    ///
    /// # Errors
    /// Where the devices cannot be listed.
    pub fn collect(&mut self) -> io::Result<Collection> {
        let listed = self.ethtool.devices()?;
        let mut before = std::mem::take(&mut self.known);
        let mut devices = Vec::new();
        for device in listed {
            if !self.selection.may_want_device(&device) {
                continue;
            }
            let was = before.remove(&device);
            let is_new = was.is_none();
            if let Some((reading, mut known, failure)) = self.read(device, was) {
                let failure = failure.map(|failure| format!("{:#}", anyhow::Error::new(failure)));
                match &failure {
                    Some(why) if known.failure.as_ref() != Some(why) => {
                        log_line(format_args!("{device} ({}): {why}", known.info.driver));
                    }
                    None if known.failure.is_some() => {
                        log_line(format_args!("{device}: read again"));
                    }
                    None if is_new => log_reading(&reading),
                    _ => {}
                }
                known.failure = failure;
                self.known.insert(device, known);
                devices.push(reading);
            }
        }
        for device in before.keys() {
            log_line(format_args!("{device}: gone"));
        }
        Ok(Collection { devices })
    }

    /// Reads one device. `None` where it is not wanted, or not there any more.
    fn read(
        &mut self,
        device: DeviceName,
        was: Option<Known>,
    ) -> Option<(Reading, Known, Option<Failure>)> {
        let began = Instant::now();
        let asked = self.driver_info(&device);
        let (info, read) = match asked {
            Ok(info) if !self.selection.wants_driver(&info) => return None,
            Ok(info) => {
                let layout = was.as_ref().and_then(|was| was.layout.clone());
                (info, self.statistics(&device, layout))
            }
            // Without a driver there are no statistics (loopback).
            Err(failure) if failure.is(libc::EOPNOTSUPP) => return None,
            // What it is was seen before; now the driver cannot even be asked for that.
            Err(failure) => match &was {
                Some(was) => (DriverInfo::clone(&was.info), Err(failure)),
                None if failure.is(libc::ENODEV) => return None,
                None => (DriverInfo::default(), Err(failure)),
            },
        };
        // `ENODEV` is said of a device that is gone, and of one that is detached for the moment,
        // as during a reset: the latter is still listed.
        if let Err(failure) = &read
            && failure.is(libc::ENODEV)
            && !self
                .ethtool
                .devices()
                .is_ok_and(|now| now.contains(&device))
        {
            return None;
        }
        let failed_before = was.as_ref().and_then(|was| was.failure.clone());
        let info = match &was {
            Some(was) if *was.info == info => Arc::clone(&was.info),
            _ => Arc::new(info),
        };
        let (statistics, failure) = match read {
            Ok(statistics) => (Some(statistics), None),
            Err(failure) => (None, Some(failure)),
        };
        let layout = statistics.as_ref().map(|it| Arc::clone(&it.layout));
        let known = Known {
            info: Arc::clone(&info),
            layout: layout.or(was.and_then(|was| was.layout)),
            failure: failed_before,
        };
        let reading = Reading {
            device,
            info,
            statistics,
            took: began.elapsed(),
        };
        Some((reading, known, failure))
    }

    fn driver_info(&mut self, device: &DeviceName) -> Result<DriverInfo, Failure> {
        let answer = self.ethtool.ask(device, Question::DriverInfo)?;
        Ok(answer::driver_info(answer)?)
    }

    /// The wanted statistics. `layout` is the one of the last time.
    fn statistics(
        &mut self,
        device: &DeviceName,
        mut layout: Option<Arc<Layout>>,
    ) -> Result<Statistics, Failure> {
        for _ in 0..ATTEMPTS {
            let expected = match self.ethtool.ask(device, Question::SetSize) {
                Ok(answer) => answer::set_size(answer)?,
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => 0,
                Err(error) => return Err(error.into()),
            };
            if expected == 0 {
                return Ok(Statistics {
                    layout: Arc::new(Layout::new(&[], &self.selection)),
                    values: Vec::new(),
                });
            }
            let question = Question::Names { count: expected };
            let names = answer::names(self.ethtool.ask(device, question)?)?;
            let layout = match layout.take() {
                Some(layout) if layout.is_of(names) => layout,
                _ => Arc::new(Layout::new(names, &self.selection)),
            };
            // A driver may have another number of statistics by now: queues were added, or a
            // feature was switched on.
            let Ok(count) = u32::try_from(names.len()) else {
                continue;
            };
            let question = Question::Values { count };
            let values = answer::values(self.ethtool.ask(device, question)?)?;
            if let Some(values) = layout.values(values) {
                return Ok(Statistics { layout, values });
            }
        }
        Err(Failure::Unsteady)
    }
}

/// Logs a device that is seen for the first time.
fn log_reading(reading: &Reading) {
    let Some(statistics) = &reading.statistics else {
        return;
    };
    let layout = &statistics.layout;
    log_line(format_args!(
        "{} ({}): {} of {} statistics are exported{}",
        reading.device,
        reading.info.driver,
        layout.wanted().len(),
        layout.all(),
        match layout.repeated() {
            0 => String::new(),
            repeated => format!("; {repeated} more have the name of another and are left out"),
        },
    ));
}
