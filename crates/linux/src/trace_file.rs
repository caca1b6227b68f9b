//! Traces: one JSON object a line, one [`Event`] an object.
//!
//! The first line is [`Event::Start`] and names the format's version. A trace ends where its
//! writer ended: a run that was killed leaves a shorter trace, never a broken one but for
//! its last line, which a reader may skip with [`Reader::tolerate_torn_end`].

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::event::Event;

/// The version of the format, raised whenever the meaning of an event changes. A trace of another
/// version is refused: an event that is read otherwise than it was written would come out as a
/// difference of the kernel's.
pub const VERSION: u32 = 2;

/// Why a trace could not be written or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum TraceError {
    #[error("cannot open trace {path}: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot write trace {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read trace {path}, line {line}: {source}")]
    Read {
        path: PathBuf,
        line: u64,
        source: io::Error,
    },
    #[error("trace {path}, line {line}: {source}")]
    Malformed {
        path: PathBuf,
        line: u64,
        source: serde_json::Error,
    },
    #[error("trace {path}, line 1: not a vmaple trace (the first line must be a start event)")]
    NoStart { path: PathBuf },
    #[error(
        "trace {path}, line 1: version {found}, this vmaple reads version {VERSION}; use a newer vmaple"
    )]
    TooNew { path: PathBuf, found: u32 },
    #[error(
        "trace {path}, line 1: version {found}, this vmaple reads version {VERSION}; record the run again"
    )]
    TooOld { path: PathBuf, found: u32 },
}

/// Appends events to a file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Writer {
    /// Makes or empties the file at `path`.
    ///
    /// # Errors
    /// [`TraceError::Open`] where that is not allowed.
    pub fn create(path: &Path) -> Result<Writer, TraceError> {
        let file = File::create(path).map_err(|source| TraceError::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Writer {
            path: path.to_owned(),
            out: BufWriter::with_capacity(1 << 16, file),
        })
    }

    /// Appends one event. It reaches the file at the next [`flush`](Self::flush) or drop.
    ///
    /// # Errors
    /// [`TraceError::Write`], a full disk for example.
    pub fn write(&mut self, event: &Event) -> Result<(), TraceError> {
        let written = serde_json::to_writer(&mut self.out, event)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|source| TraceError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Hands everything written so far to the kernel.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), TraceError> {
        self.out.flush().map_err(|source| TraceError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

/// Reads the events of a trace one by one.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    path: PathBuf,
    input: R,
    line: u64,
    text: String,
    tolerate_torn_end: bool,
}

impl Reader {
    /// Opens the trace at `path`.
    ///
    /// # Errors
    /// [`TraceError::Open`] where there is none or it may not be read.
    pub fn open(path: &Path) -> Result<Reader, TraceError> {
        let file = File::open(path).map_err(|source| TraceError::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Reader::new(
            path.to_owned(),
            BufReader::with_capacity(1 << 16, file),
        ))
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`; `path` is for messages only.
    pub fn new(path: PathBuf, input: R) -> Reader<R> {
        Reader {
            path,
            input,
            line: 0,
            text: String::new(),
            tolerate_torn_end: false,
        }
    }

    /// Takes a last line without its line feed, as a killed writer leaves it, for the end.
    #[must_use]
    pub fn tolerate_torn_end(mut self) -> Reader<R> {
        self.tolerate_torn_end = true;
        self
    }

    /// The number of the line read last, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// [`TraceError::Malformed`] with the line's number where the line is no event,
    /// [`TraceError::NoStart`], [`TraceError::TooNew`] and [`TraceError::TooOld`] for the first
    /// line,
    /// [`TraceError::Read`] where the file cannot be read or is not UTF-8.
    pub fn next_event(&mut self) -> Result<Option<Event>, TraceError> {
        loop {
            self.text.clear();
            self.line += 1;
            let read = self
                .input
                .read_line(&mut self.text)
                .map_err(|source| TraceError::Read {
                    path: self.path.clone(),
                    line: self.line,
                    source,
                })?;
            if read == 0 {
                return if self.line == 1 {
                    Err(self.no_start())
                } else {
                    Ok(None)
                };
            }
            if self.line > 1 && self.text.trim().is_empty() {
                continue;
            }
            return self.parse();
        }
    }

    fn parse(&self) -> Result<Option<Event>, TraceError> {
        let event: Event = match serde_json::from_str(&self.text) {
            Ok(event) => event,
            Err(_) if self.tolerate_torn_end && !self.text.ends_with('\n') => return Ok(None),
            Err(source) => {
                return Err(TraceError::Malformed {
                    path: self.path.clone(),
                    line: self.line,
                    source,
                });
            }
        };
        if self.line > 1 {
            return Ok(Some(event));
        }
        match &event {
            Event::Start(start) if start.version > VERSION => Err(TraceError::TooNew {
                path: self.path.clone(),
                found: start.version,
            }),
            Event::Start(start) if start.version < VERSION => Err(TraceError::TooOld {
                path: self.path.clone(),
                found: start.version,
            }),
            Event::Start(_) => Ok(Some(event)),
            _ => Err(self.no_start()),
        }
    }

    fn no_start(&self) -> TraceError {
        TraceError::NoStart {
            path: self.path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{SpaceId, Start};

    const START: &str = r#"{"event":"start","version":2,"kernel":"6.18.0","command":["true"]}"#;

    fn read(text: &str) -> Reader<&[u8]> {
        Reader::new(PathBuf::from("t.jsonl"), text.as_bytes())
    }

    #[test]
    fn events_come_back_in_order() {
        let text = format!("{START}\n\n{{\"event\":\"gone\",\"space\":7}}\n");
        let mut reader = read(&text);
        let start = reader.next_event().unwrap().unwrap();
        let expected = Start {
            version: VERSION,
            kernel: "6.18.0".into(),
            command: vec!["true".into()],
        };
        assert_eq!(start, Event::Start(expected));
        assert_eq!(
            reader.next_event().unwrap(),
            Some(Event::Gone { space: SpaceId(7) })
        );
        assert_eq!(reader.next_event().unwrap(), None);
    }

    #[test]
    fn a_malformed_line_is_named() {
        let text = format!("{START}\n{{\"event\":\"gone\"}}\n");
        let mut reader = read(&text);
        reader.next_event().unwrap();
        let error = reader.next_event().unwrap_err().to_string();
        assert!(
            error.starts_with("trace t.jsonl, line 2: missing field `space`"),
            "{error}"
        );
    }

    #[test]
    fn a_torn_last_line_may_be_tolerated_but_no_other() {
        let text = format!("{START}\n{{\"event\":\"go");
        let mut reader = read(&text).tolerate_torn_end();
        reader.next_event().unwrap();
        assert_eq!(reader.next_event().unwrap(), None);
        let text = format!("{START}\n{{\"event\":\"go\n");
        let mut reader = read(&text).tolerate_torn_end();
        reader.next_event().unwrap();
        assert!(reader.next_event().is_err());
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        assert!(matches!(
            read("").next_event(),
            Err(TraceError::NoStart { .. })
        ));
        assert!(matches!(
            read("{\"event\":\"gone\",\"space\":7}\n").next_event(),
            Err(TraceError::NoStart { .. })
        ));
    }

    #[test]
    fn another_version_is_refused_in_one_clear_line() {
        for (version, advice) in [(1, "record the run again"), (99, "use a newer vmaple")] {
            let other = START.replace("\"version\":2", &format!("\"version\":{version}"));
            let error = read(&other).next_event().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "trace t.jsonl, line 1: version {version}, this vmaple reads version 2; {advice}"
                )
            );
        }
    }
}
