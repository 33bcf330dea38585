//! The configuration as `navvy config check` shows it. Secrets were masked by their type before they get here.

use serde_json::{Value, json};
use service::settings::{LayerName, Problem, Row};

use super::ansi;
use super::style::{Ink, Style};
use super::table::{Cell, Table};

/// Every key with its value and origin; what is not the default stands out.
pub(crate) fn text(rows: &[Row], style: Style) -> String {
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for row in rows {
        let ink = if row.origin.layer == LayerName::Default { Ink::Plain } else { Ink::Strong };
        let value = if row.value.is_empty() { "-".to_owned() } else { ansi::plain(&row.value) };
        table.row([Cell::new(ink, row.key.clone()), value.into(), ansi::plain(&row.origin.to_string()).into()]);
    }
    table.text(style, 0)
}

/// The same for machines, with every problem.
pub(crate) fn json(rows: &[Row], problems: &[Problem]) -> Value {
    let settings: Vec<Value> =
        rows.iter().map(|row| json!({ "key": row.key, "value": row.value, "from": row.origin.to_string() })).collect();
    let problems: Vec<Value> = problems.iter().map(|p| json!({ "key": p.key, "what": p.what, "why": p.why, "fix": p.fix })).collect();
    json!({ "valid": problems.is_empty(), "settings": settings, "problems": problems })
}
