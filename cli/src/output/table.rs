//! Columns that line up. Width is counted in characters; the last column is not padded.

use super::style::{Ink, Style};

/// One field of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    ink: Ink,
}

impl Cell {
    /// A field in its ink.
    pub(crate) fn new(ink: Ink, text: impl Into<String>) -> Self {
        Self { text: text.into(), ink }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Ink::Plain, text)
    }
}

/// Rows under a head.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|name| Cell::new(Ink::Dim, *name)).collect()] }
    }

    /// A list without a head.
    pub(crate) fn headless() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row; missing fields are empty.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// The text, without a final line end. Every line begins with `indent` spaces.
    pub(crate) fn text(&self, style: Style, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.rows.iter().map(|row| {
            let filled = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
            let fields = row[..filled].iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                let padding = if column + 1 == filled { 0 } else { width - cell.text.chars().count() };
                format!("{}{}", style.paint(cell.ink, &cell.text), " ".repeat(padding))
            });
            format!("{}{}", " ".repeat(indent), fields.collect::<Vec<_>>().join("  "))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_colours_and_lines_have_no_tail() {
        let mut table = Table::new(&["A", "LONG", "C"]);
        table.row(["ä".into(), Cell::new(Ink::Bad, "x"), "end".into()]);
        table.row(["bbb".into(), "y".into(), "".into()]);
        assert_eq!(table.text(Style::new(false), 1), " A    LONG  C\n ä    x     end\n bbb  y");
        let colored = super::super::ansi::line(&table.text(Style::new(true), 1).replace('\n', "|"), false);
        assert_eq!(colored, " A    LONG  C| ä    x     end| bbb  y");
    }
}
