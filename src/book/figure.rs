//! Figures: a Mermaid flowchart of the content becomes an SVG of our own. `merman` reads and places it; the drawing
//! is ours, because a figure here has no style of its own (the page's style sheet themes it), wears the colours of
//! the kinds and can be lit up node by node.

mod draw;
mod measure;
mod plan;
mod read;

use std::collections::BTreeMap;

pub(super) use read::FigureError;

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scraper::{ElementRef, Html, Selector};

    use super::*;

    const SOURCE: &str = r#"flowchart LR
  accTitle: 図 "8-1"
  accDescr: 管理者と利用者。
  subgraph users["利用者"]
    Pod["Pod"] --> PVC["PVC<br>10GiB ください"]
  end
  PVC -->|"バインド"| PV[("PV<br>10GiB")]
  PVC -.-> Other(["とても長い名前のストレージクラス"])
"#;

    fn drawn(id: &str) -> Figure {
        let terms = BTreeMap::from([("PVC".to_owned(), "pvc".to_owned())]);
        figure(id, SOURCE, &terms).unwrap()
    }

    fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
        html.select(&Selector::parse(selector).unwrap()).collect()
    }

    #[test]
    fn a_figure_is_said_in_words_and_addressable_by_node() {
        let figure = drawn("figure-8-1");
        assert_eq!(
            (figure.title.as_str(), figure.description.as_str()),
            ("図 \"8-1\"", "管理者と利用者。")
        );
        let html = Html::parse_fragment(&figure.svg);
        let svg = all(&html, "svg[role=img]")[0];
        for (attribute, tag, text) in [
            ("aria-labelledby", "title", "図 \"8-1\""),
            ("aria-describedby", "desc", "管理者と利用者。"),
        ] {
            let id = svg.attr(attribute).unwrap();
            let named = all(&html, &format!("{tag}[id='{id}']"));
            assert_eq!(named[0].text().collect::<String>(), text);
        }
        let nodes: Vec<_> = all(&html, "g[data-node]")
            .iter()
            .map(|g| g.attr("data-node").unwrap().to_owned())
            .collect();
        assert_eq!(nodes, figure.nodes);
        assert_eq!(all(&html, "g[data-node=PVC][data-term=pvc] text").len(), 2);
        assert_eq!(all(&html, "[data-edge='PVC PV'][marker-end]").len(), 1);
    }

    #[test]
    fn nothing_in_a_figure_needs_more_than_a_style_sheet() {
        let svg = drawn("a").svg;
        for banned in [
            "<style",
            "style=",
            "foreignObject",
            "<script",
            "fill=",
            "stroke=",
            "font-",
        ] {
            assert!(!svg.contains(banned), "{banned} in {svg}");
        }
    }

    #[test]
    fn two_figures_on_a_page_share_no_id() {
        let page = drawn("figure-8-1").svg + &drawn("figure-8-2").svg;
        let html = Html::parse_fragment(&page);
        let ids: Vec<_> = all(&html, "[id]")
            .iter()
            .map(|element| element.attr("id").unwrap().to_owned())
            .collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
        for used in page
            .split("url(#")
            .skip(1)
            .map(|rest| &rest[..rest.find(')').unwrap()])
        {
            assert!(ids.iter().any(|id| id == used), "{used}");
        }
    }

    #[test]
    fn every_label_fits_its_box_and_the_drawing_holds_all() {
        let plan = plan::plan(SOURCE).unwrap();
        for node in &plan.nodes {
            for line in &node.lines {
                assert!(
                    measure::ems(line) * 14.0 + 8.0 <= node.at.width,
                    "{line} in {:?}",
                    node.at
                );
            }
        }
        let group = &plan.groups[0];
        for node in plan
            .nodes
            .iter()
            .filter(|node| node.id == "Pod" || node.id == "PVC")
        {
            assert!(node.at.x - node.at.width / 2.0 > group.at.x - group.at.width / 2.0);
            assert!(
                node.at.y - node.at.height / 2.0 > group.at.y - group.at.height / 2.0 + 20.0,
                "room for the title"
            );
        }
    }

    #[test]
    fn numbers_are_short() {
        for number in drawn("a")
            .svg
            .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        {
            assert!(
                number
                    .split('.')
                    .nth(1)
                    .is_none_or(|decimals| decimals.len() <= 1),
                "{number}"
            );
        }
    }
}
