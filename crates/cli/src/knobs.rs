//! Which knobs are there, and how is one turned? The table, for people.

use crate::page::paper::{Cell, Paper};
use crate::page::{DIM, Look, fixes};
use narrows_stack::knob::{Fix, FixLines, KNOBS, Knob, KnobError};
use narrows_stack::{Knobs, knob};

/// All knobs in a table, or one of them with everything that is known of it.
///
/// # Errors
/// [`KnobError::Unknown`], with the names that look like it.
pub fn render(name: Option<&str>, look: Look) -> Result<String, KnobError> {
    let mut paper = Paper::new(look);
    match name {
        None => all(&mut paper),
        Some(name) => match knob::find(name) {
            Some(knob) => one(&mut paper, knob),
            // The table answers an unknown name with its neighbours when it is to be set.
            None => Knobs::default().set(name, "")?,
        },
    }
    Ok(paper.finish())
}

fn all(paper: &mut Paper) {
    let title = |text: &str| Cell::left(text).styled(DIM);
    let mut rows = vec![vec![title("knob"), title("of the"), title("Linux"), title("values")]];
    rows.extend(KNOBS.iter().map(|knob| {
        vec![
            Cell::left(knob.name),
            Cell::left(knob.scope.name()),
            Cell::left(knob.linux_default),
            Cell::left(knob.kind.expected()),
        ]
    }));
    paper.table("", &rows, 3);
    paper.blank();
    paper.paragraph("", "", "narrows knobs NAME says what one trades for what, and how it is turned.", DIM);
}

fn one(paper: &mut Paper, knob: &Knob) {
    paper.heading(knob.name);
    paper.labelled("trades  ", knob.trades);
    paper.labelled("values  ", &knob.kind.expected());
    paper.labelled("Linux   ", knob.linux_default);
    paper.labelled("of the  ", knob.scope.name());
    let mut values: Vec<&str> = Vec::new();
    for fix in knob.fixes {
        if !values.contains(&fix.value) {
            values.push(fix.value);
        }
    }
    for value in values {
        let of_value: Vec<FixLines> =
            knob.fixes.iter().filter(|fix| fix.value == value).map(Fix::with_places).collect();
        paper.blank();
        paper.heading(&format!("{}={value}", knob.name));
        fixes::list(paper, &of_value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: Option<&str>) -> String {
        let text = render(name, Look::new(80, true)).expect("a known knob");
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn every_knob_is_listed_and_can_be_shown() {
        let table = plain(None);
        for knob in KNOBS {
            assert!(table.lines().any(|line| line.split(' ').next() == Some(knob.name)), "{}", knob.name);
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words(&plain(Some(knob.name))).contains(&words(knob.trades)), "{}", knob.name);
        }
    }

    #[test]
    fn an_unknown_knob_is_answered_with_its_neighbours() {
        let error = render(Some("nodleay"), Look::new(80, true)).unwrap_err();
        assert!(error.to_string().contains("nodelay"), "{error}");
    }
}
