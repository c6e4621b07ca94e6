/** Runs a detector family of the pod on a file with graphs that keep what they are given. */
import type { Encoder } from '../../../inference/engine/encoder.ts';
import type { Classifier } from '../../../inference/engine/session.ts';
import type { FaceFinder } from '../../../inference/faces/faces.ts';
import { PixelBudget } from '../../../inference/media/pixel-budget.ts';
import { sniffMedia } from '../../../inference/media/sniff.ts';
import type { PipelineParameters } from '../../../inference/models/pipeline-parameters.ts';
import type { Findings } from '../../../inference/pipelines/analysis.ts';
import { followVideo } from '../../../inference/pipelines/faces/follow.ts';
import { videoAudioDetector } from '../../../inference/pipelines/video-audio/detector.ts';
import { videoColourCuesDetector } from '../../../inference/pipelines/video-colour-cues/detector.ts';
import { videoEyeBlinkDetector } from '../../../inference/pipelines/video-eye-blink/detector.ts';
import { videoFramesDetector } from '../../../inference/pipelines/video-frames/detector.ts';
import { videoTemporalDetector } from '../../../inference/pipelines/video-temporal/detector.ts';

/** What one graph took of a file: `[items, ...itemShape]`, in the order in which it was asked. */
export interface Recorded {
  readonly itemShape: readonly number[];
  readonly items: readonly Float32Array[];
}

export interface Recording {
  readonly graphs: Readonly<Record<string, Recorded>>;
  readonly findings: Pick<Findings, 'inconclusiveReasons' | 'signals'>;
}

const widthOfFeatures = 1;
const scoring = { scoreOf: () => 0.5, high: 1, positive: 'fake' } as const;

/**
 * @param finder of faces, for the families that follow one
 * @throws ServiceError where the pod would refuse the file; Error for a family that this does not know
 */
export async function recorded(
  path: string,
  pipeline: PipelineParameters,
  finder: () => Promise<FaceFinder>,
): Promise<Recording> {
  const taken = new Map<string, { itemShape: readonly number[]; items: Float32Array[] }>();
  const keep = (name: string) => ({
    joined: joinedOf(pipeline),
    logits: async (items: Float32Array | readonly Float32Array[], itemShape: readonly number[]) =>
      new Float32Array(kept(name, items, itemShape)),
    features: async (items: Float32Array, itemShape: readonly number[]) =>
      Array.from({ length: kept(name, items, itemShape) }, () => new Float32Array(widthOfFeatures)),
  });
  const kept = (
    name: string,
    items: Float32Array | readonly Float32Array[],
    itemShape: readonly number[],
  ) => {
    const length = itemShape.reduce((product, side) => product * side, 1);
    const parts = items instanceof Float32Array ? split(items, length) : items;
    const row = taken.get(name) ?? { itemShape, items: [] };
    // Detectors use their batches again.
    row.items.push(...parts.map((part) => part.slice()));
    taken.set(name, row);
    return parts.length;
  };
  // Detectors ask their graphs for nothing else.
  const graph = (name: string) => keep(name) as unknown as Classifier & Encoder;
  const detect = await detectorOf(pipeline, graph, finder);
  const { inconclusiveReasons, signals } = await detect(
    { path, media: await sniffMedia({ path }) },
    contextOf(),
  );
  return { graphs: Object.fromEntries(taken), findings: { inconclusiveReasons, signals } };
}

async function detectorOf(
  pipeline: PipelineParameters,
  graph: (name: string) => Classifier & Encoder,
  finder: () => Promise<FaceFinder>,
) {
  const classifier = graph('classifier');
  switch (pipeline.type) {
    case 'video-frames':
      return videoFramesDetector(pipeline, classifier, scoring);
    case 'video-temporal':
      return videoTemporalDetector(pipeline, { encoder: graph('encoder'), head: classifier }, scoring);
    case 'video-audio': {
      const graphs = { encoder: graph('encoder'), audio: graph('audio'), head: classifier };
      return videoAudioDetector(pipeline, graphs);
    }
    case 'video-colour-cues':
      return videoColourCuesDetector(pipeline, { finder: await finder(), classifier }, scoring);
    case 'video-eye-blink':
      return videoEyeBlinkDetector(pipeline, { finder: await finder(), classifier }, scoring);
    default:
      throw new Error(
        `tensors of ${pipeline.type} cannot be recorded; it is no family of videos that is known here`,
      );
  }
}

/** The head of pictures and sound is told its sizes by its graph. */
function joinedOf(pipeline: PipelineParameters) {
  if (pipeline.type !== 'video-audio') return [];
  return [
    { name: 'frames', itemShape: [pipeline.frames, widthOfFeatures] },
    { name: 'sound', itemShape: [pipeline.sound.windows, widthOfFeatures] },
    { name: 'presence', itemShape: [2] },
  ];
}

function split(items: Float32Array, length: number): Float32Array[] {
  return Array.from({ length: items.length / length }, (_, at) =>
    items.subarray(at * length, (at + 1) * length),
  );
}

function contextOf() {
  return {
    signal: new AbortController().signal,
    pixelBudget: new PixelBudget(1e8),
    videoLimits: { maxSeconds: 120, maxPixels: 4e6, decoderThreads: 1 },
    emit: () => {},
    report: () => {},
  };
}

/** The mesh of the main face of every frame: `[frames, 468 * 3]`, x, y and z in pixels of the file, and NaN where it is not seen. */
export async function followedPoints(path: string, finder: FaceFinder, rate: number): Promise<Recorded> {
  const maxFrameSide = 4096;
  const followed = await followVideo({ path, media: await sniffMedia({ path }) }, contextOf(), {
    finder,
    samplingOf: ({ picture: { framesPerSecond } }) => ({
      mode: 'fps',
      rate: Math.min(rate, framesPerSecond),
      maxFrames: 2048,
    }),
    maxFrameSide,
    minFaceSide: 16,
    minFrames: 1,
    see: (_, { points }) => points.slice(),
  });
  if ('notJudged' in followed) return { itemShape: [0], items: [] };
  const length = followed.sightings.find((sighting) => sighting !== undefined)?.seen.length ?? 0;
  const none = new Float32Array(length).fill(NaN);
  return { itemShape: [length], items: followed.sightings.map((sighting) => sighting?.seen ?? none) };
}
