//! Writes a graph as a `.tflite` file (FlatBuffer `TFL3`, schema version 3).
//!
//! Tables are written slot by slot over the `flatbuffers` crate; slot numbers are those of TensorFlow Lite's
//! `schema.fbs`. A generated binding would be 20,000 lines for the eight operators that are used here.

use flatbuffers::{FlatBufferBuilder, Push, PushAlignment, TableFinishedWIPOffset, Vector, WIPOffset};

use super::graph::{Graph, Kind, Node, Quantised, Tensor};

type Table = WIPOffset<TableFinishedWIPOffset>;
type Builder<'a> = FlatBufferBuilder<'a>;

/// The byte offset of a slot in a table's directory.
const fn slot(number: u16) -> u16 {
    4 + 2 * number
}

/// The file's bytes.
#[must_use]
pub fn write(graph: &Graph, description: &str) -> Vec<u8> {
    let mut file = File {
        builder: FlatBufferBuilder::with_capacity(1 << 20),
        buffers: Vec::new(),
        codes: Vec::new(),
    };
    // By convention buffer 0 is empty: tensors without data point there.
    let empty = file.builder.start_table();
    let empty = file.builder.end_table(empty);
    file.buffers.push(empty);
    file.model(graph, description)
}

struct File<'a> {
    builder: Builder<'a>,
    buffers: Vec<Table>,
    codes: Vec<(i32, i32)>,
}

impl File<'_> {
    fn model(mut self, graph: &Graph, description: &str) -> Vec<u8> {
        let subgraph = self.subgraph(graph);
        let signature = self.signature(graph);
        let metadata: Vec<Table> = graph
            .metadata
            .iter()
            .map(|(name, text)| {
                let buffer = self.buffer(text.as_bytes());
                self.named(name, buffer)
            })
            .collect();
        let codes: Vec<Table> = self
            .codes
            .clone()
            .into_iter()
            .map(|(code, version)| {
                let table = self.builder.start_table();
                // The old field of one byte, for readers before 2020, and the new one.
                self.builder.push_slot::<i8>(slot(0), code.min(127) as i8, 0);
                self.builder.push_slot::<i32>(slot(2), version, 1);
                self.builder.push_slot::<i32>(slot(3), code, 0);
                self.builder.end_table(table)
            })
            .collect();
        let b = &mut self.builder;
        let codes = b.create_vector(&codes);
        let subgraphs = b.create_vector(&[subgraph]);
        let description = b.create_string(description);
        let buffers = b.create_vector(&self.buffers);
        let metadata = b.create_vector(&metadata);
        let signatures = b.create_vector(&[signature]);
        let model = b.start_table();
        b.push_slot::<u32>(slot(0), 3, 0);
        b.push_slot_always(slot(1), codes);
        b.push_slot_always(slot(2), subgraphs);
        b.push_slot_always(slot(3), description);
        b.push_slot_always(slot(4), buffers);
        b.push_slot_always(slot(6), metadata);
        b.push_slot_always(slot(7), signatures);
        let model = b.end_table(model);
        b.finish(model, Some("TFL3"));
        b.finished_data().to_vec()
    }

    fn subgraph(&mut self, graph: &Graph) -> Table {
        let tensors: Vec<Table> = graph.tensors.iter().map(|tensor| self.tensor(tensor)).collect();
        let nodes: Vec<Table> = graph.nodes.iter().map(|node| self.node(node)).collect();
        let b = &mut self.builder;
        let name = b.create_string("main");
        let tensors = b.create_vector(&tensors);
        let nodes = b.create_vector(&nodes);
        let inputs = b.create_vector(&graph.inputs);
        let outputs = b.create_vector(&graph.outputs);
        let table = b.start_table();
        b.push_slot_always(slot(0), tensors);
        b.push_slot_always(slot(1), inputs);
        b.push_slot_always(slot(2), outputs);
        b.push_slot_always(slot(3), nodes);
        b.push_slot_always(slot(4), name);
        b.end_table(table)
    }

    fn tensor(&mut self, tensor: &Tensor) -> Table {
        let buffer = tensor.data.as_ref().map_or(0, |data| self.buffer(data));
        let quantised = tensor.quantised.as_ref().map(|q| self.quantised(q));
        let b = &mut self.builder;
        let name = b.create_string(&tensor.name);
        let shape = b.create_vector(&tensor.shape);
        let table = b.start_table();
        b.push_slot_always(slot(0), shape);
        b.push_slot::<i8>(slot(1), tensor.element as i8, 0);
        b.push_slot::<u32>(slot(2), buffer, 0);
        b.push_slot_always(slot(3), name);
        if let Some(quantised) = quantised {
            b.push_slot_always(slot(4), quantised);
        }
        b.end_table(table)
    }

    fn quantised(&mut self, q: &Quantised) -> Table {
        let b = &mut self.builder;
        let scale = b.create_vector(&q.scale);
        let zero_point = b.create_vector(&q.zero_point);
        let table = b.start_table();
        b.push_slot_always(slot(2), scale);
        b.push_slot_always(slot(3), zero_point);
        // Slots 4 and 5 are a union that is not used.
        b.push_slot::<i32>(slot(6), q.axis, 0);
        b.end_table(table)
    }

    fn node(&mut self, node: &Node) -> Table {
        let code = node.kind.code();
        let place = self
            .codes
            .iter()
            .position(|known| *known == code)
            .unwrap_or_else(|| {
                self.codes.push(code);
                self.codes.len() - 1
            });
        let b = &mut self.builder;
        let inputs = b.create_vector(&node.inputs);
        let outputs = b.create_vector(&node.outputs);
        let options = b.start_table();
        // The number of the options' type in the schema's union.
        let options_type: u8 = match node.kind {
            Kind::Conv2d { stride, same, fused } => {
                b.push_slot::<i8>(slot(0), i8::from(!same), 0);
                b.push_slot::<i32>(slot(1), stride, 0);
                b.push_slot::<i32>(slot(2), stride, 0);
                b.push_slot::<i8>(slot(3), fused as i8, 0);
                1
            }
            Kind::DepthwiseConv2d { stride, same, fused } => {
                b.push_slot::<i8>(slot(0), i8::from(!same), 0);
                b.push_slot::<i32>(slot(1), stride, 0);
                b.push_slot::<i32>(slot(2), stride, 0);
                b.push_slot::<i32>(slot(3), 1, 0);
                b.push_slot::<i8>(slot(4), fused as i8, 0);
                2
            }
            Kind::FullyConnected { fused, .. } => {
                b.push_slot::<i8>(slot(0), fused as i8, 0);
                8
            }
            Kind::Add => 11,
            Kind::Mul { fused } => {
                b.push_slot::<i8>(slot(0), fused as i8, 0);
                21
            }
            Kind::Logistic => 0,
            Kind::Mean { keep_dims } => {
                b.push_slot::<bool>(slot(0), keep_dims, false);
                27
            }
            Kind::Pad => 22,
        };
        let options = b.end_table(options);
        let table = b.start_table();
        b.push_slot::<u32>(slot(0), place as u32, 0);
        b.push_slot_always(slot(1), inputs);
        b.push_slot_always(slot(2), outputs);
        if options_type != 0 {
            b.push_slot::<u8>(slot(3), options_type, 0);
            b.push_slot_always(slot(4), options);
        }
        b.end_table(table)
    }

    /// Names for inputs and outputs, as tools that call models by signature expect.
    fn signature(&mut self, graph: &Graph) -> Table {
        let names = |file: &mut Self, places: &[i32]| {
            let tables: Vec<Table> = places
                .iter()
                .map(|place| file.named(&graph.at(*place).name, *place as u32))
                .collect();
            file.builder.create_vector(&tables)
        };
        let inputs = names(self, &graph.inputs);
        let outputs = names(self, &graph.outputs);
        let b = &mut self.builder;
        let key = b.create_string("serving_default");
        let table = b.start_table();
        b.push_slot_always(slot(0), inputs);
        b.push_slot_always(slot(1), outputs);
        b.push_slot_always(slot(2), key);
        b.end_table(table)
    }

    /// A table of a name and a number: a signature's tensor or a metadata entry.
    fn named(&mut self, name: &str, number: u32) -> Table {
        let b = &mut self.builder;
        let name = b.create_string(name);
        let table = b.start_table();
        b.push_slot_always(slot(0), name);
        b.push_slot::<u32>(slot(1), number, 0);
        b.end_table(table)
    }

    /// Stores bytes; returns the number of their buffer.
    fn buffer(&mut self, bytes: &[u8]) -> u32 {
        let data = aligned(&mut self.builder, bytes);
        let table = self.builder.start_table();
        self.builder.push_slot_always(slot(0), data);
        let table = self.builder.end_table(table);
        self.buffers.push(table);
        self.buffers.len() as u32 - 1
    }
}

/// Sixteen bytes that start at a multiple of sixteen: the schema's `force_align: 16`.
#[derive(Clone, Copy)]
struct Sixteen([u8; 16]);

impl Push for Sixteen {
    type Output = Self;

    #[allow(unsafe_code)]
    // SAFETY: the trait's contract gives `dst` room for `size_of::<Self::Output>()` = 16 bytes.
    unsafe fn push(&self, dst: &mut [u8], _written: usize) {
        dst[..16].copy_from_slice(&self.0);
    }

    fn alignment() -> PushAlignment {
        PushAlignment::new(16)
    }
}

fn aligned<'a>(builder: &mut Builder<'a>, bytes: &[u8]) -> WIPOffset<Vector<'a, u8>> {
    let (whole, rest) = bytes.as_chunks::<16>();
    builder.start_vector::<Sixteen>(bytes.len().div_ceil(16));
    if !rest.is_empty() {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        builder.push(Sixteen(last));
    }
    for part in whole.iter().rev() {
        builder.push(Sixteen(*part));
    }
    // The length counts bytes; what fills up the last sixteen stays behind the end.
    WIPOffset::new(builder.end_vector::<u8>(bytes.len()).value())
}
