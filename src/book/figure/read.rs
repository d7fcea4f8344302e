//! merman's side of a figure: Mermaid in, its model and its layout out, as far as the book draws them.

use std::sync::LazyLock;

use merman::{
    Engine, MermaidConfig, OperationControl, ParseOptions, RenderError, RenderOutput, RenderTarget,
    Renderer, SvgRequest,
};
use serde::Deserialize;
use serde_json::Value;

use super::measure;

/// What is wrong with a figure's source, and on which of its lines (from 0).
#[derive(Debug, Eq, PartialEq)]
pub(in super::super) struct FigureError {
    pub(in super::super) line: usize,
    pub(in super::super) message: String,
}

/// One renderer for all figures: building its engine costs more than a figure does.
static RENDERER: LazyLock<Renderer> = LazyLock::new(|| {
    let config = MermaidConfig::from_value(serde_json::json!({
        "layout": "dagre",
        "theme": "base",
        "htmlLabels": false,
        "flowchart": {
            "htmlLabels": false,
            "minNodeWidth": 48,
            "nodeSpacing": 22,
            "rankSpacing": 38,
            "padding": 10,
            "subGraphTitleMargin": { "top": 4, "bottom": 12 },
            "wrappingWidth": 400,
        },
    }));
    Renderer::new()
        .with_engine(Engine::new().with_site_config(config))
        .with_parse_options(ParseOptions::strict())
});

/// What is in a flowchart, and where merman would put it.
pub(super) fn read(source: &str) -> Result<(Chart, Layout), FigureError> {
    let first = source
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("%%"))
        .unwrap_or("");
    if !(first.starts_with("flowchart") || first.starts_with("graph")) {
        return Err(at(
            0,
            format!(
                "a figure must be a Mermaid flowchart, not `{first}`; begin with `flowchart LR`"
            ),
        ));
    }
    let request = SvgRequest {
        environment: measure::environment(),
        ..SvgRequest::default()
    };
    let artifact = RENDERER
        .prepare_semantic(source, OperationControl::new())
        .map_err(|error| broken(source, &error))?
        .ok_or_else(|| {
            at(
                0,
                "no Mermaid diagram found; begin with `flowchart LR`".to_owned(),
            )
        })?;
    let chart = artifact
        .compatibility_json()
        .map_err(|error| broken(source, &error))?;
    let chart = Chart::deserialize(chart.as_value())
        .map_err(|error| at(0, format!("can't read this flowchart: {error}")))?;
    let RenderOutput::LayoutJson(Some(layout)) = artifact
        .render(RenderTarget::LayoutJson(request))
        .map_err(|error| broken(source, &error))?
    else {
        return Err(at(
            0,
            "merman gave no layout for this flowchart; write it more simply".to_owned(),
        ));
    };
    let layout = layout
        .layout()
        .as_value()
        .pointer("/layout/FlowchartV2")
        .ok_or_else(|| {
            at(
                0,
                "merman gave no flowchart layout; write the figure more simply".to_owned(),
            )
        })?;
    let layout = Layout::deserialize(layout)
        .map_err(|error| at(0, format!("can't read this layout: {error}")))?;
    Ok((chart, layout))
}

/// merman's words for what is wrong, on the line where it stopped reading.
fn broken(source: &str, error: &RenderError) -> FigureError {
    let RenderError::Parse(diagnostic) = error else {
        return at(0, format!("this Mermaid can't be drawn: {error}"));
    };
    let start = diagnostic
        .terminal_diagnostic_details()
        .span
        .map_or(0, |span| span.start.min(source.len()));
    // A span may begin with the line break before the culprit.
    let start = start
        + source.as_bytes()[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
    let start = if start >= source.len() {
        source.trim_end().len()
    } else {
        start
    };
    let line = source.as_bytes()[..start]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count();
    at(
        line,
        format!(
            "Mermaid: {}",
            diagnostic.terminal_safe_message().replace('\n', " ")
        ),
    )
}

pub(super) fn at(line: usize, message: String) -> FigureError {
    FigureError { line, message }
}

/// The part of merman's model of a flowchart that the book draws.
#[derive(Deserialize)]
pub(super) struct Chart {
    #[serde(rename = "accTitle")]
    pub(super) title: Option<String>,
    #[serde(rename = "accDescr")]
    pub(super) description: Option<String>,
    pub(super) nodes: Vec<Vertex>,
    pub(super) edges: Vec<Link>,
    #[serde(default)]
    pub(super) subgraphs: Vec<Subgraph>,
}

#[derive(Deserialize)]
pub(super) struct Vertex {
    pub(super) id: String,
    pub(super) label: Option<String>,
    pub(super) shape: Option<String>,
    #[serde(default)]
    pub(super) styles: Vec<Value>,
}

#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) label: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) stroke: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Subgraph {
    pub(super) id: String,
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) nodes: Vec<String>,
}

/// The part of merman's layout that the book draws.
#[derive(Deserialize)]
pub(super) struct Layout {
    pub(super) nodes: Vec<Place>,
    pub(super) edges: Vec<Route>,
}

#[derive(Deserialize)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Deserialize)]
pub(super) struct Route {
    pub(super) id: String,
    pub(super) points: Vec<Spot>,
    pub(super) label: Option<Spot>,
}

#[derive(Deserialize)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
}
