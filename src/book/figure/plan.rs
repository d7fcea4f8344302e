//! The plan of a figure: what is in it and where it goes, in few types of our own. What the book can't draw is
//! refused with the line to change.

use super::measure;
use super::read::{self, Chart, FigureError, Layout, Subgraph, at};

/// A flowchart with places in pixels at 1:1.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) groups: Vec<Group>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) lines: Vec<String>,
    pub(super) shape: Shape,
    pub(super) at: Rect,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Box,
    Round,
    Pill,
    Disk,
    Hexagon,
}

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) label: Option<(Vec<String>, Point)>,
    pub(super) stroke: Stroke,
    pub(super) arrow_end: bool,
    pub(super) arrow_start: bool,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stroke {
    Plain,
    Dotted,
    Thick,
}

/// A subgraph: a frame with a title.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) at: Rect,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A box by its centre, as the layout gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Reads and places a flowchart.
pub(super) fn plan(source: &str) -> Result<Plan, FigureError> {
    let (chart, layout) = read::read(source)?;
    build(source, chart, &layout)
}

fn build(source: &str, chart: Chart, layout: &Layout) -> Result<Plan, FigureError> {
    let title = chart
        .title
        .filter(|title| !title.trim().is_empty())
        .ok_or_else(|| {
            at(
                0,
                "`accTitle:` is missing; it is the caption of the figure".to_owned(),
            )
        })?;
    let description = chart.description.filter(|text| !text.trim().is_empty()).ok_or_else(|| {
        at(0, "`accDescr:` is missing; say in a sentence or two what the figure shows to a reader who can't see it".to_owned())
    })?;
    let mut nodes = Vec::new();
    for vertex in chart.nodes {
        let line = line_naming(source, &vertex.id);
        if !vertex.styles.is_empty() {
            return Err(at(
                line,
                format!(
                    "`{}` has a style of its own; colours come from terms.toml",
                    vertex.id
                ),
            ));
        }
        let place = layout
            .place(&vertex.id)
            .ok_or_else(|| at(line, format!("`{}` was given no place", vertex.id)))?;
        nodes.push(Node {
            lines: lines(&vertex.label.unwrap_or_else(|| vertex.id.clone())),
            shape: shape(vertex.shape.as_deref(), &vertex.id, line)?,
            at: place,
            id: vertex.id,
        });
    }
    let mut edges = Vec::new();
    for link in chart.edges {
        let route = layout.edges.iter().find(|edge| edge.id == link.id);
        let line = line_naming(source, &link.from);
        let Some(route) = route.filter(|route| route.points.len() > 1) else {
            return Err(at(
                line,
                format!(
                    "the arrow from `{}` to `{}` was given no way",
                    link.from, link.to
                ),
            ));
        };
        let label = link.label.filter(|label| !label.trim().is_empty());
        edges.push(Edge {
            label: label.zip(route.label.as_ref()).map(|(label, spot)| {
                (
                    lines(&label),
                    Point {
                        x: spot.x,
                        y: spot.y,
                    },
                )
            }),
            stroke: match link.stroke.as_deref() {
                Some("dotted") => Stroke::Dotted,
                Some("thick") => Stroke::Thick,
                _ => Stroke::Plain,
            },
            arrow_end: link
                .kind
                .as_deref()
                .is_some_and(|kind| kind != "arrow_open"),
            arrow_start: link
                .kind
                .as_deref()
                .is_some_and(|kind| kind.starts_with("double_")),
            points: route
                .points
                .iter()
                .map(|point| Point {
                    x: point.x,
                    y: point.y,
                })
                .collect(),
            from: link.from,
            to: link.to,
        });
    }
    let mut groups = Vec::new();
    for subgraph in chart.subgraphs {
        let line = line_naming(source, &subgraph.id);
        let place = layout
            .place(&subgraph.id)
            .ok_or_else(|| at(line, format!("`{}` was given no place", subgraph.id)))?;
        let met = edges
            .iter()
            .any(|edge| edge.from == subgraph.id || edge.to == subgraph.id);
        // An arrow that meets the frame itself was drawn up to where the layout put it.
        let place = if met {
            place
        } else {
            hug(place, &subgraph, layout)
        };
        groups.push(Group {
            title: subgraph.title.unwrap_or_default(),
            at: place,
            id: subgraph.id,
        });
    }
    // A frame inside a frame is drawn after it, or it would be covered.
    groups.sort_by(|a, b| (b.at.width * b.at.height).total_cmp(&(a.at.width * a.at.height)));
    Ok(Plan {
        title,
        description,
        nodes,
        edges,
        groups,
    })
}

/// The frame drawn close around its members: the layout leaves room for arrows that are not there, and a figure
/// has to fit a phone.
fn hug(place: Rect, subgraph: &Subgraph, layout: &Layout) -> Rect {
    const SIDE: f64 = 16.0;
    const TOP: f64 = 32.0;
    let inside: Vec<Rect> = subgraph
        .nodes
        .iter()
        .filter_map(|id| layout.place(id))
        .collect();
    let least = |edge: fn(&Rect) -> f64| inside.iter().map(edge).fold(f64::MAX, f64::min);
    let most = |edge: fn(&Rect) -> f64| inside.iter().map(edge).fold(f64::MIN, f64::max);
    if inside.is_empty() {
        return place;
    }
    let left = (least(|r| r.x - r.width / 2.0) - SIDE).max(place.x - place.width / 2.0);
    let right = (most(|r| r.x + r.width / 2.0) + SIDE).min(place.x + place.width / 2.0);
    let top = (least(|r| r.y - r.height / 2.0) - TOP).max(place.y - place.height / 2.0);
    let bottom = (most(|r| r.y + r.height / 2.0) + SIDE).min(place.y + place.height / 2.0);
    // A title longer than the members are wide keeps its room.
    let title = measure::ems(subgraph.title.as_deref().unwrap_or_default()) * 14.0 + 2.0 * SIDE;
    let width = (right - left).max(title.min(place.width));
    Rect {
        x: (left + right) / 2.0,
        y: (top + bottom) / 2.0,
        width,
        height: bottom - top,
    }
}

fn shape(name: Option<&str>, id: &str, line: usize) -> Result<Shape, FigureError> {
    match name.unwrap_or("square") {
        "square" | "rect" | "squareRect" => Ok(Shape::Box),
        "round" | "rounded" | "roundedRect" => Ok(Shape::Round),
        "stadium" | "pill" => Ok(Shape::Pill),
        "cylinder" | "cyl" => Ok(Shape::Disk),
        "hexagon" | "hex" => Ok(Shape::Hexagon),
        other => Err(at(
            line,
            format!(
                "`{id}` has the shape {other}, which the book does not draw; use [box], (round), ([pill]), [(disk)] or {{{{hexagon}}}}"
            ),
        )),
    }
}

/// A label's lines: `<br>` in any of its spellings breaks, entities of Mermaid are undone.
fn lines(label: &str) -> Vec<String> {
    label
        .replace("<br/>", "<br>")
        .replace("<br />", "<br>")
        .replace("\\n", "<br>")
        .replace('\n', "<br>")
        .replace("#quot;", "\"")
        .split("<br>")
        .map(|line| line.trim().to_owned())
        .collect()
}

/// The first line of the source that names a node or subgraph; 0 if none does.
fn line_naming(source: &str, id: &str) -> usize {
    source
        .lines()
        .position(|line| {
            line.match_indices(id).any(|(start, _)| {
                let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !letter(line[..start].chars().next_back())
                    && !letter(line[start + id.len()..].chars().next())
            })
        })
        .unwrap_or(0)
}

impl Layout {
    fn place(&self, id: &str) -> Option<Rect> {
        let place = self.nodes.iter().find(|place| place.id == id)?;
        Some(Rect {
            x: place.x,
            y: place.y,
            width: place.width,
            height: place.height,
        })
    }
}
