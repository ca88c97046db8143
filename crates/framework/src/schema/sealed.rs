//! Where in an event's data are personal values?

use serde_json::Value;

use super::shape::reference;

/// JSON pointers to the sealed values that this document allows, in order, each once.
pub(super) fn fields(document: &Value) -> Vec<String> {
    let mut search = Search { document, open: Vec::new(), found: Vec::new() };
    search.visit(document, "");
    search.found
}

struct Search<'a> {
    document: &'a Value,
    /// References that are being followed: recursive types end here.
    open: Vec<&'a str>,
    found: Vec<String>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, schema: &'a Value, place: &str) {
        let Some(words) = schema.as_object() else { return };
        if schema.pointer("/properties/$pii").is_some() {
            if !self.found.iter().any(|found| found == place) {
                self.found.push(place.to_owned());
            }
            return;
        }
        if let Some(name) = reference(schema)
            && !self.open.contains(&name)
            && let Some(definition) = self.document["$defs"].get(name)
        {
            self.open.push(name);
            self.visit(definition, place);
            self.open.pop();
        }
        for (word, part) in words {
            match (word.as_str(), part) {
                ("properties", Value::Object(fields)) => {
                    for (name, field) in fields {
                        let name = name.replace('~', "~0").replace('/', "~1");
                        self.visit(field, &format!("{place}/{name}"));
                    }
                }
                ("patternProperties", Value::Object(fields)) => {
                    fields.values().for_each(|field| self.visit(field, &format!("{place}/*")));
                }
                ("items" | "additionalProperties", part) => self.visit(part, &format!("{place}/*")),
                ("prefixItems", Value::Array(parts)) => {
                    for (index, part) in parts.iter().enumerate() {
                        self.visit(part, &format!("{place}/{index}"));
                    }
                }
                ("oneOf" | "anyOf" | "allOf", Value::Array(parts)) => {
                    parts.iter().for_each(|part| self.visit(part, place));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sealed_values_are_found_through_references_lists_and_alternatives() {
        let sealed = json!({"type": "object", "properties": {"$pii": {"type": "object"}}});
        let document = json!({
            "properties": {
                "a/b": sealed,
                "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
                "pair": {"prefixItems": [true, sealed]},
                "either": {"anyOf": [sealed, sealed, {"type": "null"}]},
                "plain": {"type": "string"}
            },
            "$defs": {"Line": {"properties": {
                "name": sealed,
                "names": {"additionalProperties": sealed},
                "next": {"$ref": "#/$defs/Line"}
            }}}
        });
        let expected = ["/a~1b", "/lines/*/name", "/lines/*/names/*", "/pair/1", "/either"];
        assert_eq!(fields(&document), expected);
    }
}
