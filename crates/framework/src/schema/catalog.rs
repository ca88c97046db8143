//! What is each event and each nested type called in generated code, and in which order do they come?

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::EventSchema;
use super::shape::{self, reference};
use crate::personal_data::content;

/// Everything that a generator writes, in an order in which each type comes after those that it needs.
pub(super) struct Catalog<'a> {
    pub(super) unions: Vec<Union<'a>>,
    pub(super) types: Vec<NamedType<'a>>,
    /// Per document, the nested types' names in generated code.
    names: Vec<BTreeMap<&'a str, String>>,
    /// Types that are written before one that they need: they need each other.
    pub(super) recursive: HashSet<String>,
    /// Whether some value in it is sealed.
    pub(super) has_sealed: bool,
}

/// One enum.
pub(super) struct Union<'a> {
    pub(super) name: String,
    pub(super) members: Vec<Member<'a>>,
}

/// One version of one event.
pub(super) struct Member<'a> {
    pub(super) event_type: &'a str,
    pub(super) version: u32,
    pub(super) data: String,
}

/// A type with a name of its own.
pub(super) struct NamedType<'a> {
    pub(super) name: String,
    pub(super) schema: &'a Value,
    /// The document that its references are about.
    pub(super) document: usize,
}

impl<'a> Catalog<'a> {
    pub(super) fn of(schemas: &'a [EventSchema]) -> Self {
        let mut building = Building { schemas, taken: HashSet::new(), nested: Vec::new() };
        let has_sealed = schemas.iter().any(|known| any_sealed(&known.schema));
        if has_sealed {
            building.taken.insert(SEALED_NAME.to_owned());
        }
        let mut unions: Vec<Union<'a>> = Vec::new();
        for known in schemas {
            if !unions.iter().any(|union| union.name == known.events) {
                building.taken.insert(identifier(&known.events));
                unions.push(Union { name: known.events.clone(), members: Vec::new() });
            }
        }
        let mut roots = Vec::new();
        for (document, known) in schemas.iter().enumerate() {
            let name = building.root_name(document, &roots);
            if let Some(union) = unions.iter_mut().find(|union| union.name == known.events) {
                union.members.push(Member {
                    event_type: &known.event_type,
                    version: known.version,
                    data: name.clone(),
                });
            }
            roots.push(name);
        }
        for union in &mut unions {
            union.name = identifier(&union.name);
        }
        let names: Vec<_> = (0..schemas.len()).map(|document| building.nested_names(document)).collect();
        let mut catalog = Self { unions, types: Vec::new(), names, recursive: HashSet::new(), has_sealed };
        let mut order = Order { catalog: &mut catalog, schemas, done: HashSet::new(), open: Vec::new() };
        for (document, root) in roots.iter().enumerate() {
            order.visit(document, root, &schemas[document].schema);
        }
        catalog
    }

    /// The generated name of the nested type that a schema of this document refers to.
    pub(super) fn name_of(&self, document: usize, schema: &Value) -> Option<&str> {
        self.names[document].get(reference(schema)?).map(String::as_str)
    }
}

/// What a sealed value is called in generated code.
const SEALED_NAME: &str = "Sealed";

fn any_sealed(schema: &Value) -> bool {
    content(schema).is_some()
        || match schema {
            Value::Object(words) => words.values().any(any_sealed),
            Value::Array(parts) => parts.iter().any(any_sealed),
            _ => false,
        }
}

struct Building<'a> {
    schemas: &'a [EventSchema],
    taken: HashSet<String>,
    /// Nested types that have a name: the definition, its document, its generated name.
    nested: Vec<(&'a str, usize, String)>,
}

impl<'a> Building<'a> {
    /// The event's own name; an older version's with `V` and its number.
    fn root_name(&mut self, document: usize, earlier: &[String]) -> String {
        let known = &self.schemas[document];
        let same =
            |other: &EventSchema| other.event_type == known.event_type && other.version == known.version;
        // Two enums may share an event: one type will do if its shape is one.
        if let Some(twin) = self.schemas[..document].iter().position(same)
            && shape::changes(&self.schemas[twin].schema, &known.schema).is_empty()
        {
            return earlier[twin].clone();
        }
        let newest =
            self.schemas.iter().filter(|other| other.event_type == known.event_type).map(|s| s.version).max();
        let name = identifier(&known.event_type);
        let name = if newest == Some(known.version) { name } else { format!("{name}V{}", known.version) };
        self.claim(name)
    }

    /// Names for the definitions of one document; those that an earlier document has in the same shape are shared.
    fn nested_names(&mut self, document: usize) -> BTreeMap<&'a str, String> {
        let mut names = BTreeMap::new();
        let definitions = self.schemas[document].schema.get("$defs").and_then(Value::as_object);
        for definition in definitions.into_iter().flat_map(|definitions| definitions.keys()) {
            let shared = self.nested.iter().find(|(other, at, _)| {
                other == definition && self.same_definition((*at, other), (document, definition))
            });
            let name = match shared {
                Some((_, _, name)) => name.clone(),
                None => {
                    let name = self.claim(identifier(definition));
                    self.nested.push((definition, document, name.clone()));
                    name
                }
            };
            names.insert(definition.as_str(), name);
        }
        names
    }

    fn same_definition(&self, a: (usize, &str), b: (usize, &str)) -> bool {
        let document = |(at, name): (usize, &str)| {
            serde_json::json!({
                "$ref": format!("#/$defs/{name}"),
                "$defs": self.schemas[at].schema["$defs"],
            })
        };
        shape::changes(&document(a), &document(b)).is_empty()
    }

    fn claim(&mut self, name: String) -> String {
        let numbered = (2..).map(|number| format!("{name}{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !self.taken.contains(name));
        let free = free.unwrap_or(name);
        self.taken.insert(free.clone());
        free
    }
}

/// Depth first: what a type needs comes before it, unless they need each other.
struct Order<'c, 'a> {
    catalog: &'c mut Catalog<'a>,
    schemas: &'a [EventSchema],
    done: HashSet<String>,
    open: Vec<String>,
}

impl<'a> Order<'_, 'a> {
    fn visit(&mut self, document: usize, name: &str, schema: &'a Value) {
        if self.open.iter().any(|open| open == name) {
            self.catalog.recursive.insert(name.to_owned());
            return;
        }
        if !self.done.insert(name.to_owned()) {
            return;
        }
        self.open.push(name.to_owned());
        self.needs(document, schema);
        self.open.pop();
        self.catalog.types.push(NamedType { name: name.to_owned(), schema, document });
    }

    fn needs(&mut self, document: usize, schema: &'a Value) {
        match schema {
            Value::Object(words) => {
                if let Some(definition) = reference(schema)
                    && let Some(needed) = self.schemas[document].schema["$defs"].get(definition)
                    && let Some(name) = self.catalog.names[document].get(definition).cloned()
                {
                    self.visit(document, &name, needed);
                }
                for (word, part) in words {
                    if word != "$defs" {
                        self.needs(document, part);
                    }
                }
            }
            Value::Array(parts) => parts.iter().for_each(|part| self.needs(document, part)),
            _ => {}
        }
    }
}

/// A name that TypeScript takes: letters, digits and `_`, words joined in camel case.
fn identifier(name: &str) -> String {
    let mut identifier = String::new();
    let mut upper = false;
    for c in name.chars() {
        if c.is_alphanumeric() || c == '_' {
            if identifier.is_empty() && c.is_numeric() {
                identifier.push('_');
            }
            if upper || identifier.is_empty() {
                identifier.extend(c.to_uppercase());
            } else {
                identifier.push(c);
            }
            upper = false;
        } else {
            upper = true;
        }
    }
    if identifier.is_empty() { "_".to_owned() } else { identifier }
}

/// A property's name as it is written in an object type.
pub(super) fn property(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if plain { name.to_owned() } else { Value::from(name).to_string() }
}

/// A doc comment, or nothing.
pub(super) fn doc_comment(schema: &Value, indent: &str) -> String {
    let Some(text) = schema.get("description").and_then(Value::as_str) else { return String::new() };
    let text = text.replace("*/", "*\\/");
    let lines: Vec<&str> = text.lines().collect();
    match lines[..] {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        _ => {
            let body: String = lines
                .iter()
                .map(|line| format!("{indent} *{}{line}\n", if line.is_empty() { "" } else { " " }))
                .collect();
            format!("{indent}/**\n{body}{indent} */\n")
        }
    }
}

/// The fields of an object schema: name, schema, whether it must be there.
pub(super) fn fields(schema: &Value) -> Vec<(&str, &Value, bool)> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
    };
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    properties.iter().map(|(name, field)| (name.as_str(), field, required(name))).collect()
}

/// What an object schema says of fields that it does not name.
pub(super) enum Rest<'a> {
    /// There are none.
    None,
    /// They may be anything.
    Any,
    /// They are values of these schemas.
    Values(Vec<&'a Value>),
}

pub(super) fn rest(schema: &Value) -> Rest<'_> {
    let mut values: Vec<&Value> = Vec::new();
    if let Some(patterns) = schema.get("patternProperties").and_then(Value::as_object) {
        values.extend(patterns.values());
    }
    match schema.get("additionalProperties").or(schema.get("unevaluatedProperties")) {
        Some(Value::Bool(false)) if values.is_empty() => return Rest::None,
        Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) | None => return Rest::Any,
        Some(value) => values.push(value),
    }
    Rest::Values(values)
}
