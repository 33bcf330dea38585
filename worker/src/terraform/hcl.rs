//! Writing HCL: a text as a string literal. Reading it is `crate::tools`' part, as far as anybody here reads it.

/// A string literal of HCL 2: quotes, backslashes, newlines and templates are escaped, so that the value is only a value.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '$' | '%' if chars.peek() == Some(&'{') => {
                literal.push(c);
                literal.push(c);
            }
            c if c.is_control() => literal.extend(["\\u", &format!("{:04x}", u32::from(c))]),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_a_value() {
        for (text, literal) in [
            ("plain", r#""plain""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("a\nb = \"c\"", r#""a\nb = \"c\"""#),
            ("${x} %{y} $z $${w}", r#""$${x} %%{y} $z $$${w}""#),
            ("\u{0}\u{7f}ü", "\"\\u0000\\u007fü\""),
        ] {
            assert_eq!(quoted(text), literal);
        }
    }
}
