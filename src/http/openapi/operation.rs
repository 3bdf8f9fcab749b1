//! What the document says of an endpoint beyond its row in the table.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, AllOf, ArrayBuilder, Object, ObjectBuilder, Ref, Schema, Type};
use utoipa::openapi::{OneOfBuilder, RefOr};

use super::field::Field;
use crate::domain::refusal::Refusal;

/// The media type of an envelope.
pub(crate) const JSON: &str = "application/json";

/// Endpoints that belong together.
pub(crate) struct Group {
    /// What they are about.
    pub(crate) name: &'static str,
    /// What that is.
    pub(crate) about: &'static str,
    /// What `{name}` stands for in their paths, and a name that could be, unless an operation says something else.
    pub(crate) named: (&'static str, &'static str),
    /// The endpoints.
    pub(crate) operations: Vec<Operation>,
}

/// Every shape that an answer names, as the group that comes last explains it.
pub(crate) fn every_shape(groups: &[Group]) -> BTreeMap<String, RefOr<Schema>> {
    groups.iter().flat_map(Group::shapes).collect()
}

impl Group {
    /// The shapes that its answers name. A member that says nothing of itself is what the form's field of its name is.
    fn shapes(&self) -> BTreeMap<String, RefOr<Schema>> {
        let fields = self.operations.iter().flat_map(|operation| &operation.form);
        let fields: BTreeMap<_, _> = fields.map(|field| (field.name.as_str(), field.about)).collect();
        let shapes = self.operations.iter().flat_map(|operation| operation.answer.shapes.iter().cloned());
        shapes.map(|(name, shape)| (name, explained(shape, &fields))).collect()
    }
}

/// What is to be known of an endpoint. Its methods, its paths and who may call it are in its row.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The row's id.
    pub(crate) id: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// What else is to be known; may be nothing.
    pub(crate) about: &'static str,
    /// Places of its path that the group does not explain.
    pub(crate) places: Vec<Field>,
    /// The fields that its handler reads.
    pub(crate) form: Vec<Field>,
    /// The media type of a file that it takes in place of a form.
    pub(crate) file: Option<&'static str>,
    /// What it answers.
    pub(crate) answer: Shape,
    /// With which texts it refuses, besides those that every endpoint has.
    pub(crate) refusals: Vec<Refusal>,
}

impl Operation {
    /// An endpoint without a form.
    pub(crate) fn new(id: &'static str, summary: &'static str, answer: Shape) -> Self {
        Self { id, summary, about: "", places: Vec::new(), form: Vec::new(), file: None, answer, refusals: Vec::new() }
    }

    /// Says more.
    #[must_use]
    pub(crate) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Explains places of the path.
    #[must_use]
    pub(crate) fn at(mut self, places: impl IntoIterator<Item = Field>) -> Self {
        self.places.extend(places);
        self
    }

    /// Has a form.
    #[must_use]
    pub(crate) fn form(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.form.extend(fields);
        self
    }

    /// Takes a file as its body.
    #[must_use]
    pub(crate) fn takes(mut self, media: &'static str) -> Self {
        self.file = Some(media);
        self
    }

    /// The name of its form among the shapes: `AccountAddForm` of `account_add`.
    pub(crate) fn form_name(&self) -> String {
        let capital = |word: &str| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            first.to_ascii_uppercase() + rest
        };
        self.id.split('_').chain(["form"]).map(capital).collect()
    }

    /// Refuses in these words.
    #[must_use]
    pub(crate) fn refuses(mut self, refusals: impl IntoIterator<Item = Refusal>) -> Self {
        self.refusals.extend(refusals);
        self
    }
}

/// What an endpoint answers when it succeeds.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The media type.
    pub(crate) media: &'static str,
    /// Whether it comes in the envelope, as its `msg`.
    pub(crate) is_enveloped: bool,
    /// Its shape.
    pub(crate) schema: RefOr<Schema>,
    /// The shapes that this one names.
    pub(crate) shapes: Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    /// The word for a write that has nothing to show.
    pub(crate) fn done() -> Self {
        Self::enveloped(constant("success"))
    }

    /// An empty text.
    pub(crate) fn nothing() -> Self {
        Self::enveloped(constant(""))
    }

    /// A text.
    pub(crate) fn text(about: &'static str) -> Self {
        Self::enveloped(ObjectBuilder::new().schema_type(Type::String).description(Some(about)).build())
    }

    /// A list of addresses or other texts.
    pub(crate) fn texts(about: &'static str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String);
        Self::enveloped(ArrayBuilder::new().items(text).description(Some(about)).build())
    }

    /// A value.
    pub(crate) fn of<T: ToSchema>() -> Self {
        Self { schema: named::<T>(), shapes: shapes::<T>(), ..Self::nothing() }
    }

    /// A list of values.
    pub(crate) fn list_of<T: ToSchema>() -> Self {
        let schema: Schema = ArrayBuilder::new().items(named::<T>()).into();
        Self { schema: schema.into(), shapes: shapes::<T>(), ..Self::nothing() }
    }

    /// Values by their names.
    pub(crate) fn by_name<T: ToSchema>() -> Self {
        let map = ObjectBuilder::new().additional_properties(Some(named::<T>()));
        Self { shapes: shapes::<T>(), ..Self::enveloped(map.build()) }
    }

    /// What a form sets, every field of it.
    pub(crate) fn as_set(name: &'static str, form: &[Field]) -> Self {
        let object = form.iter().fold(ObjectBuilder::new(), |object, field| {
            object.property(field.name.clone(), field.schema()).required(field.name.clone())
        });
        let shapes = vec![(name.to_owned(), closed(Schema::from(object).into()))];
        Self { schema: Ref::from_schema_name(name).into(), shapes, ..Self::nothing() }
    }

    /// A file or a page, as it is.
    pub(crate) fn file(media: &'static str, about: &'static str) -> Self {
        let file: Schema = ObjectBuilder::new().schema_type(Type::String).description(Some(about)).into();
        Self { media, is_enveloped: false, schema: file.into(), shapes: Vec::new() }
    }

    /// A JSON document, as it is.
    pub(crate) fn document(about: &'static str) -> Self {
        let document: Schema = ObjectBuilder::new().description(Some(about)).into();
        Self { media: JSON, is_enveloped: false, schema: document.into(), shapes: Vec::new() }
    }

    fn enveloped(schema: impl Into<Schema>) -> Self {
        Self { media: JSON, is_enveloped: true, schema: schema.into().into(), shapes: Vec::new() }
    }

    /// The whole body of the answer, refusals included where it may be one.
    pub(crate) fn body(&self) -> RefOr<Schema> {
        if !self.is_enveloped {
            return self.schema.clone();
        }
        let success = envelope(constant(""), self.schema.clone(), constant("success"));
        let refused = Ref::from_schema_name(REFUSED);
        Schema::OneOf(OneOfBuilder::new().item(success).item(refused).build()).into()
    }
}

/// The name of the shape of every refusal.
pub(crate) const REFUSED: &str = "Refused";

/// The envelope of a request that did not succeed.
pub(crate) fn refused() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let text = text.description(Some("Why. The texts are stable: a program may compare them."));
    envelope(Schema::from(text), Schema::from(constant("")), constant("error"))
}

/// `{"error", "msg", "status"}`.
fn envelope(error: impl Into<RefOr<Schema>>, msg: impl Into<RefOr<Schema>>, status: Object) -> Schema {
    let envelope = ObjectBuilder::new().property("error", error).property("msg", msg);
    let envelope = envelope.property("status", Schema::from(status));
    let envelope = ["error", "msg", "status"].into_iter().fold(envelope, ObjectBuilder::required);
    envelope.additional_properties(Some(AdditionalProperties::FreeForm(false))).into()
}

fn constant(text: &'static str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([text])).build()
}

fn explained(mut shape: RefOr<Schema>, fields: &BTreeMap<&str, &'static str>) -> RefOr<Schema> {
    if let RefOr::T(Schema::Object(object)) = &mut shape {
        for (name, member) in &mut object.properties {
            let RefOr::T(Schema::Object(member)) = member else { continue };
            member.description =
                member.description.take().or_else(|| fields.get(name.as_str()).map(ToString::to_string));
        }
    }
    shape
}

fn named<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// A type's own shape and those that it names, each closed: what is not in it is not in an answer.
fn shapes<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut shapes = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut shapes);
    shapes.into_iter().map(|(name, shape)| (name, closed(shape))).collect()
}

fn closed(shape: RefOr<Schema>) -> RefOr<Schema> {
    let mut shape = flat(shape);
    if let RefOr::T(Schema::Object(object)) = &mut shape
        && !object.properties.is_empty()
    {
        object.additional_properties.get_or_insert_with(|| Box::new(AdditionalProperties::FreeForm(false)));
    }
    shape
}

/// One object of an object and those that serde flattens into it: only one can be closed.
fn flat(shape: RefOr<Schema>) -> RefOr<Schema> {
    let RefOr::T(Schema::AllOf(AllOf { items, description, .. })) = shape else { return shape };
    let mut whole = ObjectBuilder::new().description(description).build();
    // the type's own members are the last item, and come first
    for item in items.into_iter().rev() {
        if let RefOr::T(Schema::Object(part)) = item {
            whole.properties.extend(part.properties);
            whole.required.extend(part.required);
        } else if let RefOr::T(Schema::OneOf(choice)) = item {
            // what may be absent as a whole: none of it must be there
            for part in choice.items {
                let RefOr::T(Schema::Object(part)) = part else { continue };
                whole.properties.extend(part.properties);
            }
        }
    }
    RefOr::T(Schema::Object(whole))
}
