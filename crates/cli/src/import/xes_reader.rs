//! How an XES document is read: element by element, one event in memory at a time, with a place for every fault.

use std::io;

use factum_core::Timestamp;
use factum_vault::{Content, Keep, MAX_SUBJECT_BYTES, Marker, Subject};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::attributes::{Attribute, Attributes, Tag, clip, scalar, with_children};
use super::source::{Input, is_malformed};
use super::{ImportError, Place};

/// Deepest nesting of attributes.
const MAX_DEPTH: usize = 32;
pub(super) const NAME: &str = "concept:name";
pub(super) const TIME: &str = "time:timestamp";

/// A trace's start, or one of its events.
#[derive(Debug)]
pub(super) struct XesItem<'a> {
    /// The trace's name.
    pub(super) trace: &'a str,
    /// 0: the trace's start; then its events in the order of the file.
    pub(super) index: u64,
    /// The activity; `None` for the trace's start.
    pub(super) activity: Option<&'a str>,
    /// When it happened.
    pub(super) time: Timestamp,
    /// All attributes as a JSON object.
    pub(super) data: String,
    /// The line in which it ends.
    pub(super) line: u64,
}

/// Takes what was read; an error text is given the place of the item.
pub(super) type Sink<'s> = &'s mut dyn FnMut(XesItem<'_>, u64) -> Result<(), Refused>;

/// Why a sink stops.
pub(super) enum Refused {
    /// The item is at fault.
    Item(String),
    /// Something else is.
    Other(ImportError),
}

/// An element's start tag, as far as it matters.
struct Head {
    tag: Tag,
    name: String,
    key: Option<String>,
    value: Option<String>,
}

enum Node {
    Open(Head),
    /// An element without content.
    Leaf(Head),
    Close,
    End,
}

pub(super) struct XesReader<'r> {
    xml: Reader<Input<'r>>,
    buffer: Vec<u8>,
    version: XmlVersion,
    trace_date: String,
    personal: Vec<String>,
    trace: Option<String>,
}

impl<'r> XesReader<'r> {
    /// `trace_date` is the key of the trace attribute that says when a trace began, `personal` those of attributes that name a
    /// person.
    pub(super) fn new(input: Input<'r>, trace_date: &str, personal: &[String]) -> Self {
        let mut xml = Reader::from_reader(input);
        xml.config_mut().check_end_names = true;
        Self {
            xml,
            buffer: Vec::new(),
            version: XmlVersion::Implicit1_0,
            trace_date: trace_date.to_owned(),
            personal: personal.to_owned(),
            trace: None,
        }
    }

    /// Bytes taken from the file so far.
    pub(super) fn raw_bytes(&self) -> u64 {
        self.xml.get_ref().raw_bytes()
    }

    /// Reads the whole document. The sink also gets the number of raw bytes read so far.
    pub(super) fn read(&mut self, sink: Sink<'_>) -> Result<(), ImportError> {
        match self.node()? {
            Node::Open(head) if head.tag == Tag::Log => {}
            Node::Leaf(head) if head.tag == Tag::Log => return self.expect_end(),
            Node::Open(head) | Node::Leaf(head) => {
                return Err(self.fault(format!(
                    "the root element is <{}>, that of an XES file is <log>",
                    clip(&head.name)
                )));
            }
            Node::Close | Node::End => {
                return Err(self.fault("there is no XML element here: give an XES file"));
            }
        }
        loop {
            match self.node()? {
                Node::Open(head) if head.tag == Tag::Trace => self.trace(sink)?,
                Node::Leaf(head) if head.tag == Tag::Trace => return Err(self.no_name("trace")),
                Node::Open(_) => self.skip()?,
                Node::Leaf(_) => {}
                Node::Close => return self.expect_end(),
                Node::End => return Err(self.cut("<log>")),
            }
        }
    }

    fn trace(&mut self, sink: Sink<'_>) -> Result<(), ImportError> {
        let mut attributes = Attributes::default();
        let mut index = 0;
        loop {
            let (head, open) = match self.node()? {
                Node::Open(head) => (head, true),
                Node::Leaf(head) => (head, false),
                Node::Close => break,
                Node::End => return Err(self.cut("<trace>")),
            };
            if head.tag == Tag::Event {
                let event = if open { self.event_attributes()? } else { Attributes::default() };
                if index == 0 {
                    self.trace = Some(self.name_of("trace", &attributes)?);
                }
                let (activity, time) = self.event_facts(&event)?;
                if index == 0 {
                    self.start(&attributes, Some(time), sink)?;
                }
                index += 1;
                self.emit(index, Some(&activity), time, event.to_object(), sink)?;
            } else if head.tag.is_attribute() {
                if index > 0 {
                    let key = head.key.unwrap_or_default();
                    return Err(self.fault(format!(
                        "trace attribute '{}' comes after the trace's events: XES wants attributes first",
                        clip(&key)
                    )));
                }
                let attribute = self.attribute(head, open, 0)?;
                let attribute = self.marked(attribute)?;
                attributes.add(attribute).map_err(|what| self.fault(what))?;
            } else if open {
                self.skip()?;
            }
        }
        if index == 0 {
            self.trace = Some(self.name_of("trace", &attributes)?);
            self.start(&attributes, None, sink)?;
        }
        self.trace = None;
        Ok(())
    }

    /// The trace's own event: never later than the first of its events, so that no fold sees an event before it.
    fn start(
        &mut self,
        attributes: &Attributes,
        first: Option<Timestamp>,
        sink: Sink<'_>,
    ) -> Result<(), ImportError> {
        let date = match attributes.get(&self.trace_date) {
            Some(attribute) => Some(self.time_of(attribute)?),
            None => None,
        };
        let time = match (date, first) {
            (Some(date), Some(first)) => date.min(first),
            (Some(time), None) | (None, Some(time)) => time,
            (None, None) => {
                let why = format!("the trace has no events and no '{}': it has no time", self.trace_date);
                return Err(self.fault(why));
            }
        };
        self.emit(0, None, time, attributes.to_object(), sink)
    }

    fn emit(
        &self,
        index: u64,
        activity: Option<&str>,
        time: Timestamp,
        data: String,
        sink: Sink<'_>,
    ) -> Result<(), ImportError> {
        let trace = self.trace.as_deref().unwrap_or_default();
        let item = XesItem { trace, index, activity, time, data, line: self.xml.get_ref().line() };
        sink(item, self.raw_bytes()).map_err(|refused| match refused {
            Refused::Item(what) => self.fault(what),
            Refused::Other(error) => error,
        })
    }

    fn event_attributes(&mut self) -> Result<Attributes, ImportError> {
        let mut attributes = Attributes::default();
        loop {
            let (head, open) = match self.node()? {
                Node::Open(head) => (head, true),
                Node::Leaf(head) => (head, false),
                Node::Close => return Ok(attributes),
                Node::End => return Err(self.cut("<event>")),
            };
            if head.tag.is_attribute() {
                let attribute = self.attribute(head, open, 0)?;
                let attribute = self.marked(attribute)?;
                attributes.add(attribute).map_err(|what| self.fault(what))?;
            } else if open {
                self.skip()?;
            }
        }
    }

    fn event_facts(&self, event: &Attributes) -> Result<(String, Timestamp), ImportError> {
        let activity = self.name_of("event", event)?;
        let time = event
            .get(TIME)
            .ok_or_else(|| self.fault(format!("the event '{}' has no '{TIME}'", clip(&activity))))?;
        Ok((activity, self.time_of(time)?))
    }

    fn name_of(&self, what: &str, attributes: &Attributes) -> Result<String, ImportError> {
        match attributes.get(NAME) {
            Some(name) if !name.value.is_empty() => Ok(name.value.clone()),
            _ => Err(self.no_name(what)),
        }
    }

    fn time_of(&self, attribute: &Attribute) -> Result<Timestamp, ImportError> {
        Timestamp::parse(&attribute.value).map_err(|_| {
            let (key, value) = (&attribute.key, clip(&attribute.value));
            self.fault(format!(
                "'{key}' is '{value}', which is not a time with a zone, such as 2011-10-01T00:38:44.546+02:00"
            ))
        })
    }

    fn attribute(&mut self, head: Head, open: bool, depth: usize) -> Result<Attribute, ImportError> {
        let Head { tag, name, key, value } = head;
        let Some(key) = key else {
            return Err(self.fault(format!("<{}> has no key", clip(&name))));
        };
        if depth == MAX_DEPTH {
            return Err(self.fault(format!("attributes are nested deeper than {MAX_DEPTH}")));
        }
        let mut children = Attributes::default();
        if open {
            self.children(&mut children, tag == Tag::List, depth)?;
        }
        if tag == Tag::List {
            return Ok(Attribute { key, value: String::new(), json: children.to_array() });
        }
        let json = match &value {
            Some(value) => Some(scalar(tag, &key, value).map_err(|what| self.fault(what))?),
            None if tag == Tag::Container => None,
            None => return Err(self.fault(format!("attribute '{}' has no value", clip(&key)))),
        };
        let json = match json {
            Some(json) if children.is_empty() => json,
            json => with_children(json.as_deref(), &children),
        };
        Ok(Attribute { key, value: value.unwrap_or_default(), json })
    }

    /// The attribute as the vault wants it, where it names a person.
    fn marked(&self, attribute: Attribute) -> Result<Attribute, ImportError> {
        if !self.personal.contains(&attribute.key) {
            return Ok(attribute);
        }
        let subject = Subject::new(attribute.value.as_str()).map_err(|_| {
            let key = clip(&attribute.key);
            self.fault(format!(
                "attribute '{key}' names nobody: a subject is one value of 1 to {MAX_SUBJECT_BYTES} bytes without '#'"
            ))
        })?;
        let value = attribute.json.as_str();
        let content = Content::Fresh { subject, purpose: None, keep: Keep::InEvent, value };
        let mut json = Vec::new();
        Marker { content, partial: None }.write(&mut json);
        let json = String::from_utf8(json).map_err(|_| self.fault("the value is no text"))?;
        Ok(Attribute { json, ..attribute })
    }

    fn children(&mut self, children: &mut Attributes, list: bool, depth: usize) -> Result<(), ImportError> {
        loop {
            let (head, open) = match self.node()? {
                Node::Open(head) => (head, true),
                Node::Leaf(head) => (head, false),
                Node::Close => return Ok(()),
                Node::End => return Err(self.cut("an attribute")),
            };
            if head.tag.is_attribute() {
                let child = self.attribute(head, open, depth + 1)?;
                let added = if list { children.add_element(child) } else { children.add(child) };
                added.map_err(|what| self.fault(what))?;
            } else if open && list && head.tag == Tag::Values && depth < MAX_DEPTH {
                self.children(children, true, depth + 1)?;
            } else if open {
                self.skip()?;
            }
        }
    }

    /// Passes over the rest of an element that means nothing here.
    fn skip(&mut self) -> Result<(), ImportError> {
        let mut depth = 1_u64;
        while depth > 0 {
            match self.node()? {
                Node::Open(_) => depth += 1,
                Node::Close => depth -= 1,
                Node::Leaf(_) => {}
                Node::End => return Err(self.cut("the log's header")),
            }
        }
        Ok(())
    }

    fn expect_end(&mut self) -> Result<(), ImportError> {
        match self.node()? {
            Node::End => Ok(()),
            _ => Err(self.fault("something follows </log>: a file holds one log")),
        }
    }

    fn node(&mut self) -> Result<Node, ImportError> {
        loop {
            self.buffer.clear();
            let event = match self.xml.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(self.xml_error(error)),
            };
            self.xml.get_mut().token_done();
            let node = match event {
                Event::Start(start) => head(&start, self.version).map(Node::Open),
                Event::Empty(start) => head(&start, self.version).map(Node::Leaf),
                Event::End(_) => Ok(Node::Close),
                Event::Eof => Ok(Node::End),
                Event::Decl(declaration) => match declaration.xml_version() {
                    Ok(version) => {
                        self.version = version;
                        continue;
                    }
                    Err(error) => Err(error),
                },
                Event::Text(text) if !text.trim().is_empty() => {
                    let text = clip(text.trim());
                    return Err(
                        self.fault(format!("'{text}' stands where a tag is expected: this is not XES"))
                    );
                }
                _ => continue,
            };
            return node.map_err(|error| self.xml_error(error));
        }
    }

    fn xml_error(&self, error: quick_xml::Error) -> ImportError {
        match error {
            quick_xml::Error::Io(source) if !is_malformed(&source) => {
                let source = io::Error::new(source.kind(), source.to_string());
                ImportError::Input { line: self.xml.get_ref().line(), source }
            }
            quick_xml::Error::Io(source) => self.fault(format!("the input is damaged or cut: {source}")),
            error => self.fault(format!("the input is not well-formed XML in UTF-8: {error}")),
        }
    }

    fn cut(&self, inside: &str) -> ImportError {
        self.fault(format!("the input ends inside {inside}: the file is cut; fetch it again"))
    }

    fn no_name(&self, what: &str) -> ImportError {
        self.fault(format!("the {what} has no '{NAME}'"))
    }

    fn fault(&self, what: impl Into<String>) -> ImportError {
        let place = Place {
            line: self.xml.get_ref().line(),
            byte: Some(self.xml.buffer_position()),
            trace: self.trace.as_deref().map(clip),
        };
        ImportError::Malformed { place, what: what.into() }
    }
}

fn head(start: &BytesStart<'_>, version: XmlVersion) -> Result<Head, quick_xml::Error> {
    let name = start.local_name();
    let tag = Tag::of(name.as_ref());
    let mut head = Head { tag, name: name.as_ref().to_owned(), key: None, value: None };
    if tag.is_attribute() {
        for attribute in start.attributes() {
            let attribute = attribute?;
            match attribute.key.as_ref() {
                "key" => head.key = Some(attribute.normalized_value(version)?.into_owned()),
                "value" => head.value = Some(attribute.normalized_value(version)?.into_owned()),
                _ => {}
            }
        }
    }
    Ok(head)
}
