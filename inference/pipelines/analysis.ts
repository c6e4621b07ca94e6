/** What a detector says about one file, and the contract that every detector family fulfils. */
import type { Heatmap } from '../dsp/heatmap.ts';
import type { SoundMeasures } from '../dsp/sound-measures.ts';
import type { Raster } from '../dsp/tiles.ts';
import type { FeatureObserver } from '../engine/session.ts';
import type { Box } from '../faces/faces.ts';
import type { ForensicReport } from '../forensics/report.ts';
import type { FfmpegExit } from '../media/media-program.ts';
import type { PixelBudget } from '../media/pixel-budget.ts';
import type { SniffedMedia } from '../media/sniff.ts';
import type { MediaSource } from '../media/source.ts';
import type { VideoLimits } from '../media/video.ts';
import type { VideoReader } from '../media/video-reader.ts';
import type { Thresholds } from '../models/manifest.ts';
import type { MediaPart } from '../models/parameters/video-audio.ts';
import type { InconclusiveReason, Verdict } from '../models/verdict.ts';

/** A sentence for a person, derived from the signals by a template; `code` is stable. */
export interface Explanation {
  readonly code: string;
  readonly text: string;
  readonly value?: number;
}

export interface Segment {
  /** Seconds from the beginning of the file. */
  readonly start_s: number;
  readonly end_s: number;
  /** Calibrated P(fake) of this stretch alone. */
  readonly score: number;
}

export interface FrameScore {
  /** Among the frames that were analysed. */
  readonly index: number;
  /** Seconds from the beginning of the file. */
  readonly t_s: number;
  /** Calibrated P(fake) of this frame alone; null for one that could not be judged. */
  readonly score: number | null;
  /** Only of models that judge faces: those of the frame that were judged. */
  readonly faces?: readonly FaceScore[];
}

export interface ScoredFrame extends FrameScore {
  readonly score: number;
}

export interface FaceScore {
  /** The same for what is taken for the same face in other frames. */
  readonly track_id: number;
  /** In pixels of the media's own upright pictures. */
  readonly box: Box;
  /** Calibrated P(fake) of this face in this frame alone. */
  readonly score: number;
}

/** One face over the frames. */
export interface FaceTrack {
  readonly track_id: number;
  /** Calibrated P(fake) of the mean of its logits. */
  readonly score: number;
  /** Seconds from the beginning of the file: its first and its last frame. */
  readonly span_s: readonly [number, number];
}

export interface SoundProperties {
  readonly duration_seconds: number;
  /** Hz. */
  readonly sample_rate: number;
  readonly channels: number;
}

export interface VideoProperties {
  readonly duration_seconds: number;
  readonly frame_count: number;
  readonly frames_per_second: number;
  readonly codec: string;
  /** Clockwise degrees by which the stored pictures were turned. */
  readonly rotation: number;
  readonly colour_range: 'full' | 'limited' | 'unspecified';
  /** Of the sound track; null without one. */
  readonly sample_rate: number | null;
  readonly channels: number | null;
}

/** What a family finds before calibration and verdict are put together. */
export interface Findings {
  /** The logit of the parts together; null when the media cannot be judged, for the reasons given. */
  readonly logit: number | null;
  readonly inconclusiveReasons: readonly InconclusiveReason[];
  /** Calibrated scores of the parts (tiles, windows, frames), in order. */
  readonly partScores: readonly number[];
  readonly signals: Readonly<
    Record<string, number | readonly number[] | Heatmap | SoundMeasures[keyof SoundMeasures]>
  >;
  readonly segments?: readonly Segment[];
  /** Of sound, for people: mel bands, the lowest first, over time; dB below the loudest value. */
  readonly spectrogram?: readonly (readonly number[])[];
  readonly frames?: readonly FrameScore[];
  /** Only of models that judge faces, in the order in which they appear. */
  readonly tracks?: readonly FaceTrack[];
  readonly dimensions?: { readonly width: number; readonly height: number };
  readonly properties?: SoundProperties | VideoProperties;
  /** What the file lacks of what the model could judge. */
  readonly missingModalities?: readonly MediaPart[];
  readonly notes: readonly string[];
  /** What the family has to say of the verdict; it never contradicts it. */
  readonly remarks?: (judged: Judged) => readonly Explanation[];
  readonly timingsMs: Readonly<Record<'decode' | 'preprocess' | 'infer', number>>;
}

export interface Judged {
  readonly verdict: Verdict;
  readonly thresholds: Thresholds;
}

export interface Analysis extends Omit<Findings, 'logit' | 'partScores' | 'remarks'> {
  /** Calibrated P(fake), 0..1; null when inconclusive. */
  readonly score: number | null;
  readonly verdict: Verdict;
  readonly explanations: readonly Explanation[];
  /** Undefined where nobody asked for it. */
  readonly forensicReport?: ForensicReport;
}

/** Something that a worker reports for the metrics. */
export type WorkerEvent =
  | { readonly type: 'ffmpeg_exit'; readonly exit: FfmpegExit }
  /** One run of one of a model's graphs over so many items; its time in milliseconds. */
  | { readonly type: 'batch'; readonly model: string; readonly items: number; readonly ms: number };

/** A step of an analysis, for those who watch it. The names are those that subscribers of progress events know. */
export interface ProgressStep {
  readonly event:
    | 'FRAME_ANALYSIS_PROGRESS'
    | 'AUDIO_EXTRACTION_START'
    | 'AUDIO_EXTRACTION_COMPLETE'
    | 'SPECTROGRAM_GENERATION_START'
    | 'SPECTROGRAM_GENERATION_COMPLETE';
  readonly message: string;
  /** Parts done and parts in all; null where the step has no parts. */
  readonly progress: number | null;
  readonly total: number | null;
}

/** Sound and videos are on disk. */
export interface DetectorInput extends MediaSource {
  readonly media: SniffedMedia;
}

/** Watches what a detector sees, for what is said beside the score. */
export interface Observer extends FeatureObserver {
  /** Told by detectors that decode an image at its native resolution. @param raster valid during the call */
  pixels(raster: Raster): void;
}

export interface DetectorContext {
  readonly signal: AbortSignal;
  /** Shared by all analyses of a worker. */
  readonly pixelBudget: PixelBudget;
  readonly videoLimits: VideoLimits;
  /** Shared by the models of one job; undefined where a model is alone. */
  readonly videoReader?: VideoReader | undefined;
  readonly emit: (event: WorkerEvent) => void;
  readonly report: (step: ProgressStep) => void;
  /** Undefined where nobody wants to know. */
  readonly observer?: Observer | undefined;
}

/** What a request asks for beyond a verdict. Members that are undefined are as the package says. */
export interface Extras {
  /** Whether slightly changed copies are judged, too. */
  readonly perturb?: boolean | undefined;
  /** Whether the file's provenance and traces are reported beside the score. */
  readonly forensics?: true | undefined;
}

/** A loaded detector of one package. */
export type Detector = (input: DetectorInput, context: DetectorContext) => Promise<Findings>;

/** Runs the action and says how many milliseconds it took. */
export async function timed<T>(action: () => T | Promise<T>): Promise<{ value: T; ms: number }> {
  const startedAt = performance.now();
  const value = await action();
  return { value, ms: performance.now() - startedAt };
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) sum += values[index] ?? 0;
  return sum / values.length;
}
