//! How does text come onto the page? Lines, headings, and labelled paragraphs with a hanging indent.

use super::look::{DIM, HEADING, Look, columns, wrap};
use anstyle::Style;
use std::fmt::Display;

/// A page being written. Styles are always in the text; whoever prints it strips them where they are not wanted.
#[derive(Debug)]
pub struct Paper {
    /// What the page may use.
    pub look: Look,
    text: String,
}

impl Paper {
    /// An empty page.
    pub fn new(look: Look) -> Paper {
        Paper { look, text: String::new() }
    }

    /// One line, as it is.
    pub fn line(&mut self, line: impl Display) {
        let line = line.to_string();
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A bold line, wrapped.
    pub fn heading(&mut self, text: &str) {
        self.paragraph("", "", text, HEADING);
    }

    /// A paragraph in the page's width.
    pub fn prose(&mut self, text: &str) {
        self.paragraph("", "", text, Style::new());
    }

    /// A dim label, and a text beside it that is wrapped under its own beginning.
    pub fn labelled(&mut self, label: &str, text: &str) {
        self.paragraph("  ", label, text, Style::new());
    }

    /// A paragraph: indent, label (dim), and the text in a style, wrapped under its own beginning.
    pub fn paragraph(&mut self, indent: &str, label: &str, text: &str, style: Style) {
        let label = self.look.spell(label);
        let hanging = columns(indent) + columns(&label);
        let width = self.look.width().saturating_sub(hanging);
        for (index, line) in wrap(&self.look.spell(text), width).iter().enumerate() {
            if index == 0 {
                let label = if label.is_empty() { String::new() } else { format!("{DIM}{label}{DIM:#}") };
                self.line(format_args!("{indent}{label}{style}{line}{style:#}"));
            } else {
                self.line(format_args!("{}{style}{line}{style:#}", " ".repeat(hanging)));
            }
        }
    }

    /// A table. Where the page is too narrow, columns after the first `essential` ones are left out; where that is not
    /// enough, the first column gets lines of its own, and in the end each row is a paragraph.
    pub fn table(&mut self, indent: &str, rows: &[Vec<Cell>], essential: usize) {
        let mut widths: Vec<usize> = Vec::new();
        for row in rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(&self.look.spell(&cell.text)));
            }
        }
        let gaps: Vec<usize> = rows.first().map_or(Vec::new(), |row| {
            row.iter().enumerate().map(|(index, cell)| if index == 0 { 0 } else { cell.gap }).collect()
        });
        let room = self.look.width().saturating_sub(columns(indent));
        let needed = |from: usize, widths: &[usize]| {
            let gaps = gaps.iter().take(widths.len()).skip(from + 1).sum::<usize>();
            widths.iter().skip(from).sum::<usize>() + gaps
        };
        while widths.len() > essential && needed(0, &widths) > room {
            widths.pop();
        }
        let stacked = needed(0, &widths) > room;
        if stacked && (widths[0] > room || 2 + needed(1, &widths) > room) {
            return self.rows_as_prose(indent, rows);
        }
        for row in rows {
            let mut line = String::from(indent);
            for (index, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if stacked && index == 1 {
                    self.line(std::mem::replace(&mut line, format!("{indent}  ")));
                } else {
                    line.push_str(&" ".repeat(gaps.get(index).copied().unwrap_or(2)));
                }
                self.cell(&mut line, cell, width);
            }
            self.line(line);
        }
    }

    /// Rows that fit in no columns (two IPv6 addresses on a narrow page): each is a wrapped line of its own.
    fn rows_as_prose(&mut self, indent: &str, rows: &[Vec<Cell>]) {
        for row in rows {
            let cells: Vec<&str> = row.iter().map(|cell| cell.text.as_str()).collect();
            self.paragraph(indent, "", &cells.join(" "), Style::new());
        }
    }

    /// Appends a cell; the spaces that fill it up stay outside its style, where a line's end can lose them.
    fn cell(&self, line: &mut String, cell: &Cell, width: usize) {
        let text = self.look.spell(&cell.text);
        let fill = " ".repeat(width.saturating_sub(columns(&text)));
        let style = cell.style;
        let styled = if text.is_empty() { text } else { format!("{style}{text}{style:#}") };
        if cell.right {
            line.push_str(&fill);
            line.push_str(&styled);
        } else {
            line.push_str(&styled);
            line.push_str(&fill);
        }
    }

    /// The page's text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
    right: bool,
    gap: usize,
}

impl Cell {
    /// At the column's left end.
    pub fn left(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: Style::new(), right: false, gap: 2 }
    }

    /// At the column's right end.
    pub fn right(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: Style::new(), right: true, gap: 2 }
    }

    /// The same, with one space instead of two before it; the first row decides for its column.
    pub fn close(self) -> Cell {
        Cell { gap: 1, ..self }
    }

    /// The same in a style.
    pub fn styled(self, style: Style) -> Cell {
        Cell { style, ..self }
    }
}
