//! A rule of the lesson: an expression in CEL that is true or false. Compiled and tried on an empty cluster at
//! start, so that a slip is an error of the content and not a step that never ticks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError, Program, Value};

/// What a rule can speak of: lists of cards by kind, the last look into each volume by key, and what happened
/// since the step began.
pub const VARIABLES: [&str; 10] = [
    "pods",
    "claims",
    "volumes",
    "statefulsets",
    "deployments",
    "replicasets",
    "classes",
    "nodes",
    "inside",
    "since",
];

/// A compiled rule; clones share it.
#[derive(Clone, Debug)]
pub struct Rule(Arc<Program>);

impl Rule {
    /// Compiles a rule, or says everything that is wrong with it, each with its line in `text`, from 0.
    pub(super) fn compile(text: &str) -> Result<Self, Vec<(usize, String)>> {
        let program = Program::compile(text).map_err(|errors| {
            let told = errors.errors.iter().map(|error| {
                let line = usize::try_from(error.pos.0).unwrap_or(1).saturating_sub(1);
                (line, format!("not CEL: {}", error.msg.replace('\n', " ")))
            });
            told.collect::<Vec<_>>()
        })?;
        let mut faults = Faults::default();
        faults.walk(program.expression(), &mut Vec::new());
        let line = |id: u64| {
            let source = program.source_info();
            let offset = source.offset_for(id).map_or(0, |(start, _)| start);
            let before = text.chars().take(usize::try_from(offset).unwrap_or(0));
            before.filter(|it| *it == '\n').count()
        };
        let mut told: Vec<(usize, String)> = faults
            .0
            .into_iter()
            .map(|(id, message)| (line(id), message))
            .collect();
        if told.is_empty()
            && let Err(message) = try_out(&program)
        {
            told.push((0, message));
        }
        if told.is_empty() {
            Ok(Self(Arc::new(program)))
        } else {
            Err(told)
        }
    }

    /// The compiled expression.
    pub fn program(&self) -> Arc<Program> {
        Arc::clone(&self.0)
    }
}

/// What is wrong in an expression, with the id of the node.
#[derive(Default)]
struct Faults(BTreeSet<(u64, String)>);

impl Faults {
    /// `own` are the variables that the macros around this node bring with them.
    fn walk<'e>(&mut self, node: &'e IdedExpr, own: &mut Vec<&'e str>) {
        match &node.expr {
            Expr::Ident(name) => self.variable(node.id, name, own),
            Expr::Call(call) => {
                self.function(node.id, &call.func_name, call.target.is_some());
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.walk(part, own);
                }
            }
            Expr::Comprehension(it) => {
                self.walk(&it.iter_range, own);
                self.walk(&it.accu_init, own);
                let outside = own.len();
                own.push(&it.iter_var);
                own.extend(it.iter_var2.as_deref());
                own.push(&it.accu_var);
                for part in [&it.loop_cond, &it.loop_step, &it.result] {
                    self.walk(part, own);
                }
                own.truncate(outside);
            }
            Expr::List(list) => {
                for part in &list.elements {
                    self.walk(part, own);
                }
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.walk(&entry.key, own);
                        self.walk(&entry.value, own);
                    }
                }
            }
            Expr::Select(select) => self.walk(&select.operand, own),
            Expr::Struct(it) => self.note(node.id, format!("there is no type `{}`", it.type_name)),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn variable(&mut self, id: u64, name: &str, own: &[&str]) {
        if !own.contains(&name) && !VARIABLES.contains(&name) {
            self.note(
                id,
                format!(
                    "there is no variable `{name}`; there are: {}",
                    VARIABLES.join(", ")
                ),
            );
        }
    }

    fn function(&mut self, id: u64, name: &str, on_a_value: bool) {
        // Operators have names such as `_&&_`.
        if !name.chars().all(char::is_alphanumeric) {
            return;
        }
        let call = if on_a_value {
            format!("''.{name}('')")
        } else {
            format!("{name}('')")
        };
        let answer = Program::compile(&call).map(|it| it.execute(&Context::default()));
        if let Ok(Err(ExecutionError::UndeclaredReference(_))) = answer {
            self.note(id, format!("there is no function `{name}`"));
        }
    }

    fn note(&mut self, id: u64, message: String) {
        self.0.insert((id, message));
    }
}

/// Evaluates on a cluster in which there is nothing: that something is missing is no fault of the rule's, all else is.
fn try_out(program: &Program) -> Result<(), String> {
    let mut context = Context::default();
    for name in VARIABLES {
        let nothing = if name == "inside" {
            Value::from(HashMap::<String, i64>::new())
        } else {
            Value::from(Vec::<i64>::new())
        };
        context.add_variable_from_value(name, nothing);
    }
    match program.execute(&context) {
        Ok(Value::Bool(_))
        | Err(ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_)) => Ok(()),
        Ok(value) => Err(format!("is {}, and must be true or false", value.type_of())),
        Err(error) => Err(error.to_string()),
    }
}
