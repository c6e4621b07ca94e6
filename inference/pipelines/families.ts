/** The detector families: the only place that knows them all. */
import type { Classifier } from '../engine/session.ts';
import type { Manifest } from '../models/manifest.ts';
import { calibratedScore, verdictOf } from '../models/verdict.ts';
import type { Analysis, Detector, DetectorContext, DetectorInput } from './analysis.ts';
import { audioFeaturesDetector } from './audio-features/detector.ts';
import { audioSpectrogramDetector } from './audio-spectrogram/detector.ts';
import { audioWaveformDetector } from './audio-waveform/detector.ts';
import { explain } from './explanations.ts';
import type { FaceScoring } from './faces/scores.ts';
import type { OtherGraphs } from './graphs.ts';
import { imageClassifierDetector } from './image-classifier/detector.ts';
import { imageFacesDetector } from './image-faces/detector.ts';
import { imageResidualDetector } from './image-residual/detector.ts';
import { videoAudioDetector } from './video-audio/detector.ts';
import { videoColourCuesDetector } from './video-colour-cues/detector.ts';
import { videoEyeBlinkDetector } from './video-eye-blink/detector.ts';
import { videoFacesDetector } from './video-faces/detector.ts';
import { videoFramesDetector } from './video-frames/detector.ts';
import { videoTemporalDetector } from './video-temporal/detector.ts';

const partNames: Readonly<Record<Manifest['modality'], string>> = {
  image: 'region',
  audio: 'segment',
  video: 'frame',
};
const familyPartNames: Readonly<Partial<Record<Manifest['pipeline']['type'], string>>> = {
  'video-temporal': 'window',
  'image-faces': 'face',
  'video-colour-cues': 'window',
  'video-eye-blink': 'window',
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
    case 'audio-waveform':
      return audioWaveformDetector(manifest.pipeline, classifier, scoreOf);
    case 'audio-features':
      return audioFeaturesDetector(manifest.pipeline, classifier, scoreOf);
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
    case 'video-faces':
      return videoFacesDetector(
        manifest.pipeline,
        { finder: there(others.faces), classifier },
        meaningOf(manifest),
      );
    case 'image-faces':
      return imageFacesDetector(
        manifest.pipeline,
        { finder: there(others.faces), classifier },
        meaningOf(manifest),
      );
    case 'video-colour-cues':
      return videoColourCuesDetector(
        manifest.pipeline,
        { finder: there(others.faces), classifier },
        meaningOf(manifest),
      );
    case 'video-eye-blink':
      return videoEyeBlinkDetector(
        manifest.pipeline,
        { finder: there(others.faces), classifier },
        meaningOf(manifest),
      );
  }
}

function meaningOf(manifest: Manifest): FaceScoring {
  const { output, thresholds } = manifest;
  const scoreOf = (logit: number) => calibratedScore(logit, manifest);
  return { scoreOf, positive: output.positive, high: thresholds.high };
}

/** The manifest was refused where one is missing. */
function there<Graph>(graph: Graph | undefined): Graph {
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
    if (!partScores.every(Number.isFinite) || (score !== null && !Number.isFinite(score)))
      throw new Error('the graph answered with a value that is not finite');
    const verdict = verdictOf(score, thresholds);
    const part = familyPartNames[manifest.pipeline.type] ?? partNames[manifest.modality];
    const { inconclusiveReasons } = findings;
    const explanations = explain({ score, verdict, thresholds, inconclusiveReasons, partScores, part });
    const further = score === null ? [] : (remarks?.({ verdict, thresholds }) ?? []);
    return { ...findings, score, verdict, explanations: [...explanations, ...further] };
  };
}
