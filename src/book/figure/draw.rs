//! The drawing: a plan becomes SVG text. No colour, face or size stands here beyond geometry; classes and
//! `data-` attributes carry the meaning, and `chapter.css` dresses them.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::super::html::escape;
use super::measure::ems;
use super::plan::{Edge, Group, Node, Plan, Point, Rect, Shape, Stroke};

/// Air around the drawing, in pixels, so that no stroke is cut.
const MARGIN: f64 = 3.0;
/// From one line of a label to the next, in pixels. The layout's type is 14 px.
const LEADING: f64 = 18.0;

/// The whole `<svg>`. Ids in it begin with `id`, so that figures on one page never share one.
pub(super) fn svg(id: &str, plan: &Plan, terms: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write_svg(&mut out, id, plan, terms);
    out
}

fn write_svg(
    out: &mut String,
    id: &str,
    plan: &Plan,
    terms: &BTreeMap<String, String>,
) -> fmt::Result {
    let (min, max) = extent(plan);
    let (width, height) = (max.x - min.x, max.y - min.y);
    write!(
        out,
        r#"<svg role="img" aria-labelledby="{id}-title" aria-describedby="{id}-desc" width="{}" height="{}" viewBox="{} {} {} {}">"#,
        num(width),
        num(height),
        num(min.x),
        num(min.y),
        num(width),
        num(height),
    )?;
    write!(
        out,
        r#"<title id="{id}-title">{}</title>"#,
        escape(&plan.title)
    )?;
    write!(
        out,
        r#"<desc id="{id}-desc">{}</desc>"#,
        escape(&plan.description)
    )?;
    write!(
        out,
        r#"<defs><marker id="{id}-arrow" class="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 .8 10 5 0 9.2z"/></marker></defs>"#
    )?;
    for group in &plan.groups {
        write_group(out, id, group)?;
    }
    for edge in &plan.edges {
        write_edge(out, id, edge)?;
    }
    for node in &plan.nodes {
        write_node(out, id, node, terms.get(&node.id).map(String::as_str))?;
    }
    // Labels last: they sit on the lines, and a line drawn later would strike them through.
    for edge in &plan.edges {
        if let Some((lines, spot)) = &edge.label {
            let (width, height) = (label_width(lines), LEADING * lines.len() as f64);
            write!(
                out,
                r#"<g class="label"><rect x="{}" y="{}" width="{}" height="{}"/>"#,
                num(spot.x - width / 2.0),
                num(spot.y - height / 2.0),
                num(width),
                num(height)
            )?;
            write_lines(out, lines, *spot)?;
            out.push_str("</g>");
        }
    }
    out.push_str("</svg>");
    Ok(())
}

fn write_group(out: &mut String, id: &str, group: &Group) -> fmt::Result {
    let Rect {
        x,
        y,
        width,
        height,
    } = group.at;
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    write!(out, r#"<g class="group" id="{id}-{}">"#, escape(&group.id))?;
    write!(
        out,
        r#"<rect x="{}" y="{}" width="{}" height="{}" rx="8"/>"#,
        num(left),
        num(top),
        num(width),
        num(height)
    )?;
    write!(
        out,
        r#"<text x="{}" y="{}">{}</text></g>"#,
        num(left + 12.0),
        num(top + 19.0),
        escape(&group.title)
    )
}

fn write_node(out: &mut String, id: &str, node: &Node, term: Option<&str>) -> fmt::Result {
    let name = escape(&node.id);
    write!(
        out,
        r#"<g class="node" id="{id}-{name}" data-node="{name}""#
    )?;
    if let Some(term) = term {
        write!(out, r#" data-term="{}""#, escape(term))?;
    }
    out.push('>');
    let Rect {
        x,
        y,
        width,
        height,
    } = node.at;
    let (left, top, right, bottom) = (
        x - width / 2.0,
        y - height / 2.0,
        x + width / 2.0,
        y + height / 2.0,
    );
    let rect = |out: &mut String, radius: f64| {
        write!(
            out,
            r#"<rect x="{}" y="{}" width="{}" height="{}" rx="{}"/>"#,
            num(left),
            num(top),
            num(width),
            num(height),
            num(radius)
        )
    };
    let mut middle = Point { x, y };
    match node.shape {
        Shape::Box => rect(out, 5.0)?,
        Shape::Round => rect(out, 11.0)?,
        Shape::Pill => rect(out, height / 2.0)?,
        Shape::Hexagon => {
            let nose = height / 4.0;
            write!(
                out,
                r#"<path d="M{} {}H{}L{} {}L{} {}H{}L{} {}z"/>"#,
                num(left + nose),
                num(top),
                num(right - nose),
                num(right),
                num(y),
                num(right - nose),
                num(bottom),
                num(left + nose),
                num(left),
                num(y),
            )?;
        }
        Shape::Disk => {
            let (rx, ry) = (width / 2.0, (width / 14.0).clamp(5.0, 9.0));
            middle.y += ry * 0.7;
            write!(
                out,
                r#"<path d="M{l} {t}a{rx} {ry} 0 0 1 {w} 0V{b}a{rx} {ry} 0 0 1 -{w} 0z"/><path class="rim" d="M{l} {t}a{rx} {ry} 0 0 0 {w} 0"/>"#,
                l = num(left),
                t = num(top + ry),
                b = num(bottom - ry),
                w = num(width),
                rx = num(rx),
                ry = num(ry),
            )?;
        }
    }
    write_lines(out, &node.lines, middle)?;
    out.push_str("</g>");
    Ok(())
}

/// Lines of text around a middle. The first names the thing and is set stronger by the style sheet.
fn write_lines(out: &mut String, lines: &[String], middle: Point) -> fmt::Result {
    // 5 px below the middle of a line is where 14 px type stands.
    let first = middle.y - LEADING * (lines.len() as f64 - 1.0) / 2.0 + 5.0;
    for (number, line) in lines.iter().enumerate() {
        write!(
            out,
            r#"<text x="{}" y="{}">{}</text>"#,
            num(middle.x),
            num(first + LEADING * number as f64),
            escape(line)
        )?;
    }
    Ok(())
}

fn write_edge(out: &mut String, id: &str, edge: &Edge) -> fmt::Result {
    let stroke = match edge.stroke {
        Stroke::Plain => "",
        Stroke::Dotted => " dotted",
        Stroke::Thick => " thick",
    };
    write!(
        out,
        r#"<path class="edge{stroke}" data-edge="{} {}" d="{}""#,
        escape(&edge.from),
        escape(&edge.to),
        curve(&edge.points)
    )?;
    if edge.arrow_end {
        write!(out, r##" marker-end="url(#{id}-arrow)""##)?;
    }
    if edge.arrow_start {
        write!(out, r##" marker-start="url(#{id}-arrow)""##)?;
    }
    out.push_str("/>");
    Ok(())
}

/// A uniform cubic B-spline through the ends and near the points between: the soft line that Mermaid calls basis.
fn curve(points: &[Point]) -> String {
    let mut out = String::new();
    let _ = write_curve(&mut out, points);
    out
}

fn write_curve(out: &mut String, points: &[Point]) -> fmt::Result {
    let mix = |a: Point, b: Point, t: f64| Point {
        x: a.x + (b.x - a.x) * t,
        y: a.y + (b.y - a.y) * t,
    };
    let (first, last) = (points[0], points[points.len() - 1]);
    write!(out, "M{} {}", num(first.x), num(first.y))?;
    if points.len() < 3 || straight(points) {
        return write!(out, "L{} {}", num(last.x), num(last.y));
    }
    let begin = mix(first, points[1], 1.0 / 6.0);
    write!(out, "L{} {}", num(begin.x), num(begin.y))?;
    for trio in points.windows(3) {
        let (a, b) = (
            mix(trio[0], trio[1], 1.0 / 3.0),
            mix(trio[0], trio[1], 2.0 / 3.0),
        );
        // On the last span the spline ends in the corner, from where a straight piece leads to the arrow.
        let end = mix(b, mix(trio[1], trio[2], 1.0 / 3.0), 0.5);
        write!(
            out,
            "C{} {} {} {} {} {}",
            num(a.x),
            num(a.y),
            num(b.x),
            num(b.y),
            num(end.x),
            num(end.y)
        )?;
    }
    let (before, tail) = (points[points.len() - 2], last);
    let (a, b) = (mix(before, tail, 1.0 / 3.0), mix(before, tail, 2.0 / 3.0));
    let end = mix(before, tail, 5.0 / 6.0);
    write!(
        out,
        "C{} {} {} {} {} {}",
        num(a.x),
        num(a.y),
        num(b.x),
        num(b.y),
        num(end.x),
        num(end.y)
    )?;
    write!(out, "L{} {}", num(tail.x), num(tail.y))
}

/// Width of the label of an edge with a little air, in pixels.
fn label_width(lines: &[String]) -> f64 {
    lines.iter().map(|line| ems(line)).fold(0.0, f64::max) * 13.0 + 10.0
}

fn straight(points: &[Point]) -> bool {
    let (first, last) = (points[0], points[points.len() - 1]);
    points.iter().all(|p| {
        let cross = (last.x - first.x) * (p.y - first.y) - (last.y - first.y) * (p.x - first.x);
        cross.abs() < 1.0
    })
}

/// The corners of all that is drawn, with air.
fn extent(plan: &Plan) -> (Point, Point) {
    let mut min = Point {
        x: f64::MAX,
        y: f64::MAX,
    };
    let mut max = Point {
        x: f64::MIN,
        y: f64::MIN,
    };
    let mut hold = |x: f64, y: f64| {
        (min.x, min.y) = (min.x.min(x), min.y.min(y));
        (max.x, max.y) = (max.x.max(x), max.y.max(y));
    };
    for at in plan
        .nodes
        .iter()
        .map(|node| node.at)
        .chain(plan.groups.iter().map(|group| group.at))
    {
        hold(at.x - at.width / 2.0, at.y - at.height / 2.0);
        hold(at.x + at.width / 2.0, at.y + at.height / 2.0);
    }
    for point in plan.edges.iter().flat_map(|edge| &edge.points) {
        hold(point.x, point.y);
    }
    for (lines, spot) in plan.edges.iter().filter_map(|edge| edge.label.as_ref()) {
        let half = label_width(lines) / 2.0;
        hold(spot.x - half, spot.y - 9.0);
        hold(spot.x + half, spot.y + 9.0);
    }
    (
        Point {
            x: (min.x - MARGIN).floor(),
            y: (min.y - MARGIN).floor(),
        },
        Point {
            x: (max.x + MARGIN).ceil(),
            y: (max.y + MARGIN).ceil(),
        },
    )
}

/// A number with at most one decimal: a tenth of a pixel is finer than any screen, and short is small on the wire.
fn num(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // No `-0`.
    format!("{}", rounded + 0.0)
}
