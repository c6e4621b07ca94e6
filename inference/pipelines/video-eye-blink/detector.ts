/** Blinks: how open eyes are in each frame, pictures of them where they are closed, windows of these through the graph. */
import { pixelWriter } from '../../dsp/frames.ts';
import { itemShapeOf } from '../../dsp/normalise.ts';
import type { Raster } from '../../dsp/tiles.ts';
import type { Classifier } from '../../engine/session.ts';
import { padded, within } from '../../faces/boxes.ts';
import { cropFace, cutOut } from '../../faces/crop.ts';
import { eyesBox, openness } from '../../faces/eyes.ts';
import type { FaceFinder } from '../../faces/faces.ts';
import type { OpenedVideo } from '../../media/video.ts';
import type { VideoEyeBlinkParameters } from '../../models/pipeline-parameters.ts';
import { type Detector, timed } from '../analysis.ts';
import { followVideo } from '../faces/follow.ts';
import { judgeWindows, type WindowScoring, windowCounts, windowFindings } from '../faces/windows.ts';
import { cutNotes } from '../videos.ts';
import { blinkRuns, blinkSignals } from './blinks.ts';

/** What is kept of each frame until it is known whether it is one of a blink. */
interface SeenEyes {
  readonly ear: number;
  /** Of no more pixels than the graph takes. */
  readonly crop: Raster;
}

export function videoEyeBlinkDetector(
  parameters: VideoEyeBlinkParameters,
  { finder, classifier }: { readonly finder: FaceFinder; readonly classifier: Classifier },
  { scoreOf, high }: WindowScoring,
): Detector {
  const { sampling, maxFrameSide, minFaceSide, blinks, eyes, pixels, sequence, aggregation } = parameters;
  const write = pixelWriter(pixels);
  const itemShape = itemShapeOf({ width: eyes.size, height: eyes.size }, pixels.layout);
  return async (input, context) => {
    const followed = await followVideo(input, context, {
      finder,
      samplingOf: (video) => ({ ...sampling, rate: rateOf(video, sampling.rate) }),
      maxFrameSide,
      minFaceSide,
      minFrames: sequence,
      see: (raster, { points }) => eyesOf(raster, points, eyes),
    });
    if ('notJudged' in followed) return followed.notJudged;
    const { video, facts, plan, moments, sightings } = followed;
    const rate = rateOf(video, sampling.rate);
    const track = sightings.map(
      (sighting) => sighting && { subject: sighting.subject, ear: sighting.seen.ear },
    );
    const runs = blinkRuns(track, blinks);
    const resized = await timed(() =>
      runs.flatMap(({ subject, first, last }) =>
        sightings
          .slice(first, last + 1)
          .flatMap((sighting, index) =>
            sighting === undefined
              ? []
              : [{ subject, frame: first + index, crop: toSize(sighting.seen.crop, eyes.size) }],
          ),
      ),
    );
    const judged = await timed(() =>
      judgeWindows(
        resized.value,
        parameters,
        { itemShape, write: ({ crop }, target) => write(crop, target) },
        (windows, shape) => classifier.logits(windows, shape, context.signal, context.observer),
      ),
    );
    const windows = judged.value;
    const { decode, preprocess } = followed.timingsMs;
    const observed = track.filter((sample) => sample !== undefined).length;
    const counts = {
      frames_analysed: moments.length,
      frames_with_face: observed,
      ...blinkSignals(track, runs, 1 / rate),
      blink_sequences_found: windows.length,
    };
    const common = {
      ...facts,
      notes: [...cutNotes(plan), ...rateNotes(rate, sampling.rate)],
      timingsMs: { decode, preprocess: preprocess + resized.ms, infer: judged.ms },
    };
    if (windows.length === 0) {
      const reason = observed === 0 ? 'no_face' : observed < sequence ? 'too_few_faces' : 'too_few_blinks';
      return {
        ...common,
        logit: null,
        inconclusiveReasons: [reason],
        partScores: [],
        frames: [],
        signals: counts,
      };
    }
    const findings = windowFindings(windows, moments, aggregation, scoreOf);
    const { suspicious, average } = windowCounts(findings.partScores, high);
    const signals = { ...counts, suspicious_blink_sequences: suspicious, average_blink_suspicion: average };
    return { ...common, ...findings, signals };
  };
}

/** No frame is looked at twice: eyes would seem closed for longer. */
function rateOf({ picture: { framesPerSecond } }: OpenedVideo, rate: number): number {
  return framesPerSecond > 0 ? Math.min(rate, framesPerSecond) : rate;
}

function rateNotes(rate: number, wanted: number): string[] {
  if (rate >= wanted) return [];
  return [
    `The video has ${rate.toFixed(1)} frames per second and the model looks at ${wanted}: short blinks may be missed.`,
  ];
}

/** Undefined where the eyes are too small or outside the picture. */
function eyesOf(
  raster: Raster,
  points: Float32Array,
  { size, margin }: VideoEyeBlinkParameters['eyes'],
): SeenEyes | undefined {
  const ear = openness(points);
  const box = within(padded(eyesBox(points), margin), raster);
  if (ear === null || box === undefined) return undefined;
  const cut = cutOut(raster, box);
  return { ear, crop: box.width * box.height > size * size ? toSize(cut, size) : cut };
}

/** Stretched; the same where it has that size. */
function toSize(raster: Raster, size: number): Raster {
  const { width, height } = raster;
  if (width === size && height === size) return raster;
  const whole = { x: 0, y: 0, width, height };
  return cropFace(raster, whole, { width: size, height: size, margin: 0, fit: 'stretch' }) ?? raster;
}
