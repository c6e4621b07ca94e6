/** Writes tiny ONNX graphs by hand (protocol buffers need no library for this), so that tests need no trained model. */

type Field = readonly [number: number, value: number | string | Uint8Array];

/** `logit = gain * (mean(x) - centre)` over everything but the first axis, after `delays` useless sines that only cost time. */
export interface MeanGraph {
  readonly input: string;
  /** The item's shape; the batch axis is added in front. */
  readonly itemShape: readonly number[];
  readonly centre: number;
  readonly gain: number;
  /** The mean of absolute values instead. */
  readonly absolute?: boolean;
  readonly delays?: number;
  /** A second output `cam`, `[n, 1, h, w]`: the input's mean over its first axis. */
  readonly cam?: boolean;
  /** The gain is a tensor in this file beside the graph, 4 bytes. */
  readonly gainFile?: string;
}

const float32 = 1;

/** The bytes of a model whose first output is called `logit` and has the shape [n, 1]. */
export function meanGraph(graph: MeanGraph): Uint8Array {
  const axes = graph.itemShape.map((_, index) => index + 1);
  const first = graph.absolute
    ? node('Abs', [graph.input], 'start')
    : node('Identity', [graph.input], 'start');
  const nodes = [
    first,
    node('ReduceMean', ['start'], 'mean', [integers('axes', axes), integer('keepdims', 1)]),
    node('Flatten', ['mean'], 'flat', [integer('axis', 1)]),
    node('Sub', ['flat', 'centre'], 'centred'),
    node('Mul', ['centred', 'gain'], graph.delays ? 'undelayed' : 'logit'),
    ...delayNodes(graph.delays ?? 0),
    ...(graph.cam
      ? [node('ReduceMean', ['start'], 'cam', [integers('axes', [1]), integer('keepdims', 1)])]
      : []),
  ];
  const body = message(
    ...nodes.map((bytes): Field => [1, bytes]),
    [2, 'mean'],
    [5, constant('centre', graph.centre)],
    [5, graph.gainFile === undefined ? constant('gain', graph.gain) : outside('gain', graph.gainFile)],
    [5, constant('nothing', 0)],
    [11, value(graph.input, ['n', ...graph.itemShape])],
    [12, value('logit', ['n', 1])],
    ...(graph.cam ? [[12, value('cam', ['n', 1, ...graph.itemShape.slice(1)])] as const] : []),
  );
  return modelOf(body);
}

/** @param body the graph */
function modelOf(body: Uint8Array): Uint8Array {
  return message([1, 8], [2, 'deepfake-operator tests'], [7, body], [8, message([1, ''], [2, 13])]);
}

export interface TestGraph {
  readonly nodes: readonly Uint8Array[];
  /** Constants of any shape. */
  readonly weights: readonly Uint8Array[];
  readonly inputs: readonly Uint8Array[];
  readonly outputs: readonly Uint8Array[];
}

/** The bytes of a model of what `node`, `weight` and `value` made. */
export function testGraph({ nodes, weights, inputs, outputs }: TestGraph): Uint8Array {
  return modelOf(
    message(
      ...nodes.map((bytes): Field => [1, bytes]),
      [2, 'test'],
      ...weights.map((bytes): Field => [5, bytes]),
      ...inputs.map((bytes): Field => [11, bytes]),
      ...outputs.map((bytes): Field => [12, bytes]),
    ),
  );
}

/** logit = undelayed + 0 * mean(sin(sin(...start))) */
function delayNodes(count: number): Uint8Array[] {
  if (count === 0) return [];
  const sines = Array.from({ length: count }, (_, index) =>
    node('Sin', [index === 0 ? 'start' : `sine${index - 1}`], `sine${index}`),
  );
  return [
    ...sines,
    node('ReduceMean', [`sine${count - 1}`], 'sines', [integer('keepdims', 0)]),
    node('Mul', ['sines', 'nothing'], 'zero'),
    node('Add', ['undelayed', 'zero'], 'logit'),
  ];
}

/** @param outputs an empty name stands for an output that is not wanted */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: string | readonly string[],
  attributes: readonly Uint8Array[] = [],
): Uint8Array {
  return message(
    ...inputs.map((name): Field => [1, name]),
    ...[outputs].flat().map((name): Field => [2, name]),
    [4, operator],
    ...attributes.map((bytes): Field => [5, bytes]),
  );
}

export function integer(name: string, number: number): Uint8Array {
  return message([1, name], [3, number], [20, 2]);
}

export function integers(name: string, numbers: readonly number[]): Uint8Array {
  return message([1, name], ...numbers.map((number): Field => [8, number]), [20, 7]);
}

function constant(name: string, number: number): Uint8Array {
  return message([1, 1], [2, float32], [8, name], [9, new Uint8Array(Float32Array.of(number).buffer)]);
}

export function weight(name: string, shape: readonly number[], values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return message(...shape.map((side): Field => [1, side]), [2, float32], [8, name], [9, bytes]);
}

/** A tensor of one value whose bytes are in another file. */
function outside(name: string, file: string): Uint8Array {
  return message([1, 1], [2, float32], [8, name], [13, message([1, 'location'], [2, file])], [14, 1]);
}

export function value(name: string, shape: readonly (string | number)[]): Uint8Array {
  const dimensions = shape.map(
    (side): Field => [1, message(typeof side === 'string' ? [2, side] : [1, side])],
  );
  return message([1, name], [2, message([1, message([1, float32], [2, message(...dimensions)])])]);
}

/** A protocol-buffer message: integers as varints, everything else with its length. */
function message(...fields: readonly Field[]): Uint8Array {
  const parts = fields.flatMap(([number, content]) => {
    if (typeof content === 'number') return [varint(number << 3), varint(content)];
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    return [varint((number << 3) | 2), varint(bytes.length), bytes];
  });
  return Buffer.concat(parts);
}

function varint(number: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = number; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.of(...bytes, rest);
    bytes.push((rest % 128) + 128);
  }
}
