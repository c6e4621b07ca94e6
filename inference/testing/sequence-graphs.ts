/** Tiny graphs of the families with several: what makes features of pictures and of sound, and what judges rows of them. */
import { integer, integers, node, testGraph, value, weight } from './onnx.ts';

/** Weights that any program can make again: `scale * sin(1, 2, 3, ...)`. */
function sines(count: number, scale: number): Float32Array {
  return Float32Array.from({ length: count }, (_, index) => scale * Math.sin(index + 1));
}

/** `frames` [n, 3, h, w] to `features` [n, D]: tanh of a matrix of sines times the means of the channels. */
export function frameEncoderGraph(side: number, width: number): Uint8Array {
  return testGraph({
    nodes: [
      node('ReduceMean', ['frames'], 'means', [integers('axes', [2, 3]), integer('keepdims', 0)]),
      node('MatMul', ['means', 'mixing'], 'mixed'),
      node('Tanh', ['mixed'], 'features'),
    ],
    weights: [weight('mixing', [3, width], sines(3 * width, 1))],
    inputs: [value('frames', ['n', 3, side, side])],
    outputs: [value('features', ['n', width])],
  });
}

/** `features` [n, T, D] to `logit` [n]: four times the sum of the last state of an LSTM of so many units, whose weights are sines. */
export function temporalHeadGraph(sequence: number, width: number, units: number): Uint8Array {
  return testGraph({
    nodes: [
      node('Transpose', ['features'], 'steps', [integers('perm', [1, 0, 2])]),
      node('LSTM', ['steps', 'w', 'r', 'b'], ['', 'last'], [integer('hidden_size', units)]),
      node('ReduceMean', ['last'], 'state', [integers('axes', [0]), integer('keepdims', 0)]),
      node('MatMul', ['state', 'sum'], 'column'),
      node('ReduceMean', ['column'], 'logit', [integers('axes', [1]), integer('keepdims', 0)]),
    ],
    weights: [
      weight('w', [1, 4 * units, width], sines(4 * units * width, 1)),
      weight('r', [1, 4 * units, units], sines(4 * units * units, 0.5)),
      weight('b', [1, 8 * units], sines(8 * units, 0.1)),
      weight('sum', [units, 1], new Float32Array(units).fill(4)),
    ],
    inputs: [value('features', ['n', sequence, width])],
    outputs: [value('logit', ['n'])],
  });
}

/** `frames` [n, 3, h, w] to `features` [n, D]: their mean, so many times. */
export function brightnessEncoderGraph(side: number, width: number): Uint8Array {
  return testGraph({
    nodes: [
      node('ReduceMean', ['frames'], 'mean', [integers('axes', [1, 2, 3]), integer('keepdims', 0)]),
      node('Flatten', ['mean'], 'column', [integer('axis', 1)]),
      node('MatMul', ['column', 'copies'], 'features'),
    ],
    weights: [weight('copies', [1, width], new Float32Array(width).fill(1))],
    inputs: [value('frames', ['n', 3, side, side])],
    outputs: [value('features', ['n', width])],
  });
}

/** `features` [n, T, D] to `logit` [n]: so many times their mean. */
export function meanHeadGraph(sequence: number, width: number, gain: number): Uint8Array {
  return testGraph({
    nodes: [
      node('ReduceMean', ['features'], 'mean', [integers('axes', [1, 2]), integer('keepdims', 0)]),
      node('Mul', ['mean', 'gain'], 'logit'),
    ],
    weights: [weight('gain', [1], Float32Array.of(gain))],
    inputs: [value('features', ['n', sequence, width])],
    outputs: [value('logit', ['n'])],
  });
}

/** `samples` [n, length] to `loudness` [n, E]: the mean amplitude, so many times. */
export function loudnessGraph(length: number, width: number): Uint8Array {
  return testGraph({
    nodes: [
      node('Abs', ['samples'], 'amplitudes'),
      node('ReduceMean', ['amplitudes'], 'mean', [integers('axes', [1]), integer('keepdims', 1)]),
      node('MatMul', ['mean', 'copies'], 'loudness'),
    ],
    weights: [weight('copies', [1, width], new Float32Array(width).fill(1))],
    inputs: [value('samples', ['n', length])],
    outputs: [value('loudness', ['n', width])],
  });
}

export interface JointHead {
  /** Of frames and of sound: rows and numbers in a row. */
  readonly frames: readonly [number, number];
  readonly sound: readonly [number, number];
  /** What the mean of the frames, the mean of the sound and each bit of the presence count. */
  readonly gains: {
    readonly frames: number;
    readonly sound: number;
    readonly presence: readonly [number, number];
  };
}

/** `frames` [n, F, D], `sound` [n, W, E] and `presence` [n, 2] to `logit` [n]: the sum of what each counts. */
export function jointHeadGraph({ frames, sound, gains }: JointHead): Uint8Array {
  return testGraph({
    nodes: [
      node('ReduceMean', ['frames'], 'brightness', [integers('axes', [1, 2]), integer('keepdims', 0)]),
      node('ReduceMean', ['sound'], 'loudness', [integers('axes', [1, 2]), integer('keepdims', 0)]),
      node('MatMul', ['presence', 'bits'], 'column'),
      node('ReduceMean', ['column'], 'present', [integers('axes', [1]), integer('keepdims', 0)]),
      node('Mul', ['brightness', 'of-frames'], 'seen'),
      node('Mul', ['loudness', 'of-sound'], 'heard'),
      node('Add', ['seen', 'heard'], 'media'),
      node('Add', ['media', 'present'], 'logit'),
    ],
    weights: [
      weight('bits', [2, 1], Float32Array.from(gains.presence)),
      weight('of-frames', [1], Float32Array.of(gains.frames)),
      weight('of-sound', [1], Float32Array.of(gains.sound)),
    ],
    inputs: [value('frames', ['n', ...frames]), value('sound', ['n', ...sound]), value('presence', ['n', 2])],
    outputs: [value('logit', ['n'])],
  });
}
