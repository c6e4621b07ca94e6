/** The detector families: the only place that knows them all. */
import type { Encoder } from '../engine/encoder.ts';
import type { Classifier } from '../engine/session.ts';
import type { Manifest } from '../models/manifest.ts';
import { calibratedScore, verdictOf } from '../models/verdict.ts';
import type { Analysis, Detector, DetectorContext, DetectorInput } from './analysis.ts';
import { audioSpectrogramDetector } from './audio-spectrogram/detector.ts';
import { explain } from './explanations.ts';
import type { OtherGraphs } from './graphs.ts';
import { imageClassifierDetector } from './image-classifier/detector.ts';
import { imageResidualDetector } from './image-residual/detector.ts';
import { videoAudioDetector } from './video-audio/detector.ts';
import { videoFramesDetector } from './video-frames/detector.ts';
import { videoTemporalDetector } from './video-temporal/detector.ts';

const partNames: Readonly<Record<Manifest['modality'], string>> = {
  image: 'region',
  audio: 'segment',
  video: 'frame',
};

function detectorOf(manifest: Manifest, classifier: Classifier, others: OtherGraphs): Detector {
  const scoreOf = (logit: number) => calibratedScore(logit, manifest);
  switch (manifest.pipeline.type) {
    case 'image-residual':
      return imageResidualDetector(manifest.pipeline, classifier, scoreOf);
    case 'image-classifier':
      return imageClassifierDetector(manifest.pipeline, classifier);
    case 'audio-spectrogram':
      return audioSpectrogramDetector(manifest.pipeline, classifier, scoreOf);
    case 'video-frames':
      return videoFramesDetector(manifest.pipeline, classifier, { scoreOf, high: manifest.thresholds.high });
    case 'video-temporal': {
      const encoder = there(others.encoder);
      const { high } = manifest.thresholds;
      return videoTemporalDetector(manifest.pipeline, { encoder, head: classifier }, { scoreOf, high });
    }
    case 'video-audio': {
      const { encoder, audio } = others;
      const graphs = { encoder: there(encoder), audio: there(audio), head: classifier };
      return videoAudioDetector(manifest.pipeline, graphs);
    }
  }
}

/** The manifest was refused where one is missing. */
function there(graph: Encoder | undefined): Encoder {
  if (graph === undefined) throw new Error('a graph of the package was not opened');
  return graph;
}

/** A detector with its package's calibration, thresholds and explanations around it. */
export function analyzerOf(
  manifest: Manifest,
  classifier: Classifier,
  others: OtherGraphs = {},
): (input: DetectorInput, context: DetectorContext) => Promise<Analysis> {
  const detect = detectorOf(manifest, classifier, others);
  const { thresholds } = manifest;
  return async (input, context) => {
    const { logit, partScores, remarks, ...findings } = await detect(input, context);
    const score = logit === null ? null : calibratedScore(logit, manifest);
    if (score !== null && !Number.isFinite(score))
      throw new Error('the graph answered with a value that is not finite');
    const verdict = verdictOf(score, thresholds);
    const part = manifest.pipeline.type === 'video-temporal' ? 'window' : partNames[manifest.modality];
    const { inconclusiveReasons } = findings;
    const explanations = explain({ score, verdict, thresholds, inconclusiveReasons, partScores, part });
    const further = score === null ? [] : (remarks?.({ verdict, thresholds }) ?? []);
    return { ...findings, score, verdict, explanations: [...explanations, ...further] };
  };
}
