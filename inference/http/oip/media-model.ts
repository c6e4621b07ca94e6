/** `<name>`: the whole detector. A file in one element goes in, the calibrated verdict comes out. */
import { Readable } from 'node:stream';
import {
  bytesOf,
  frameElements,
  type NamedTensor,
  type TensorMetadata,
  unframeElements,
} from '../../engine/tensors.ts';
import { serviceError } from '../../errors.ts';
import type { Modality } from '../../models/manifest.ts';
import type { NamedPackage } from '../../models/package.ts';
import type { Analysis } from '../../pipelines/analysis.ts';
import type { RouteDependencies } from '../server.ts';
import { heatmapOf } from '../views/parts.ts';
import type { ProtocolModel, ReceivedTensor } from './model.ts';

const mediaInput = 'media';
/** What MLServer's clients call data that are base64 text. Any other content type is the media's own. */
const base64Codec = 'base64';

interface DetectorOutput extends TensorMetadata {
  readonly read: (analysis: Analysis) => Pick<NamedTensor, 'shape' | 'data'>;
}

/** A score that does not exist is a tensor without elements: NaN would be a number that compares. */
const verdictOutputs: readonly DetectorOutput[] = [
  {
    name: 'score',
    type: 'float32',
    shape: [-1],
    read: ({ score }) => floats(score === null ? [] : [score]),
  },
  { name: 'verdict', type: 'string', shape: [1], read: ({ verdict }) => texts([verdict]) },
  {
    name: 'inconclusive_reasons',
    type: 'string',
    shape: [-1],
    read: ({ inconclusiveReasons }) => texts(inconclusiveReasons),
  },
];

/** What a detector says of the parts of its media. */
const partOutputs: Readonly<Record<Modality, DetectorOutput>> = {
  image: {
    name: 'heatmap',
    type: 'float32',
    shape: [-1, -1],
    read: (analysis) => {
      const { rows, cols, scores } = heatmapOf(analysis) ?? { rows: 0, cols: 0, scores: [] };
      return { ...floats(scores.flat()), shape: [rows, cols] };
    },
  },
  audio: {
    name: 'segment_scores',
    type: 'float32',
    shape: [-1],
    read: ({ segments = [] }) => floats(segments.map(({ score }) => score)),
  },
  // Without the frames that show nothing to judge.
  video: {
    name: 'frame_scores',
    type: 'float32',
    shape: [-1],
    read: ({ frames = [] }) => floats(frames.flatMap(({ score }) => score ?? [])),
  },
};

export function mediaModel(dependencies: RouteDependencies, model: NamedPackage): ProtocolModel {
  const { name, manifest } = model;
  const outputs = [...verdictOutputs, partOutputs[manifest.modality]];
  return detectorModel(dependencies, { name, version: manifest.version }, outputs);
}

/** Several models of media of any kind have no parts in common. */
export function ensembleModel(
  dependencies: RouteDependencies,
  ensemble: { readonly name: string; readonly version: string },
): ProtocolModel {
  return detectorModel(dependencies, ensemble, verdictOutputs);
}

function detectorModel(
  { detections, spool, config }: RouteDependencies,
  { name, version }: { readonly name: string; readonly version: string },
  known: readonly DetectorOutput[],
): ProtocolModel {
  return {
    name,
    version,
    platform: 'deepfake_detector',
    inputs: [{ name: mediaInput, type: 'string', shape: [1] }],
    outputs: known,
    infer: async (exchange, [input], outputs) => {
      if (input === undefined) throw new Error('the inputs were not checked against the metadata');
      const bytes = mediaBytes(input);
      const claimedType = input.contentType === base64Codec ? '' : (input.contentType ?? '').toLowerCase();
      const { analysis } = await detections.withReception(
        exchange,
        async (signal) => {
          const file = await spool.receive(Readable.from([bytes]), config.maxUploadBytes, signal);
          return { media: [{ file, claimedType, name: '' }] as const };
        },
        ({ media: [media] }) => detections.detect(exchange, { media, model: name }),
      );
      return outputs.flatMap((wanted) =>
        known
          .filter((output) => output.name === wanted)
          .map(({ name, type, read }) => ({ name, type, ...read(analysis) })),
      );
    },
  };
}

/** JSON has no bytes, so there the element is always base64 text. @throws ServiceError invalid_tensor, empty_media */
function mediaBytes(input: ReceivedTensor): Buffer {
  const [element = new Uint8Array()] = unframeElements(input.name, input.data);
  const bytes = Buffer.from(element.buffer, element.byteOffset, element.byteLength);
  const isBase64 = !input.isBinary || input.contentType === base64Codec;
  const media = isBase64 ? decodeBase64(bytes.toString('latin1')) : bytes;
  if (media.length === 0) throw serviceError('empty_media', { field: mediaInput });
  return media;
}

function decodeBase64(text: string): Buffer {
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  if (isBase64) return Buffer.from(text, 'base64');
  throw serviceError('invalid_tensor', { tensor: mediaInput, reason: 'its element is not base64 text' });
}

function floats(values: readonly number[]): Pick<NamedTensor, 'shape' | 'data'> {
  return { shape: [values.length], data: bytesOf(Float32Array.from(values)) };
}

function texts(values: readonly string[]): Pick<NamedTensor, 'shape' | 'data'> {
  const encoder = new TextEncoder();
  return { shape: [values.length], data: frameElements(values.map((value) => encoder.encode(value))) };
}
