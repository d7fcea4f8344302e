//! Figures: a Mermaid flowchart of the content becomes an SVG of our own. `merman` reads and places it; the drawing
//! is ours, because a figure here has no style of its own (the page's style sheet themes it), wears the colours of
//! the kinds and can be lit up node by node.

mod draw;
mod measure;
mod plan;

use std::collections::BTreeMap;

pub(super) use plan::FigureError;

/// A figure as the page holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Figure {
    /// The anchor, for instance `figure-8-1`.
    pub id: String,
    /// The caption (`accTitle`).
    pub title: String,
    /// The text alternative (`accDescr`).
    pub description: String,
    /// Mermaid ids of the nodes, in order of appearance.
    pub nodes: Vec<String>,
    /// The drawing: one `<svg>` element without style or script.
    pub svg: String,
}

/// Reads Mermaid source and draws it. `terms` names the term that a node lights up with, by Mermaid id.
///
/// # Errors
/// What is wrong in the source, with the line in it (from 0).
pub(super) fn figure(
    id: &str,
    source: &str,
    terms: &BTreeMap<String, String>,
) -> Result<Figure, FigureError> {
    let plan = plan::plan(source)?;
    Ok(Figure {
        id: id.to_owned(),
        svg: draw::svg(id, &plan, terms),
        nodes: plan.nodes.iter().map(|node| node.id.clone()).collect(),
        title: plan.title,
        description: plan.description,
    })
}

/// Draws a figure outside a book, for the bench that times it.
///
/// # Errors
/// What is wrong in the source, as text.
pub fn draw_once(source: &str) -> Result<String, String> {
    figure("figure", source, &BTreeMap::new())
        .map(|figure| figure.svg)
        .map_err(|error| error.message)
}
