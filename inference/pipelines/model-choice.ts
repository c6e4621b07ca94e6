/** Which of the models that are served judges a file. Pure. */
import { type ServiceError, serviceError } from '../errors.ts';
import { type MediaKind, readableFormats, type SniffedMedia } from '../media/sniff.ts';
import { needsOf } from '../models/graphs.ts';
import { canonicalName } from '../models/names.ts';
import type { NamedPackage } from '../models/package.ts';

export type KnownMedia = Exclude<SniffedMedia, { kind: 'unsupported' }>;

/**
 * A model of sound judges the sound of a video when it is asked for or no model judges its pictures.
 * @param known what an error says that there is
 * @param requested serving name, or undefined for the model that fits the media: the default one, or else the first, of those that
 * judge any file before those that only know faces
 * @throws ServiceError unknown_model, wrong_modality, no_model_for_media
 */
export function chooseModel(
  media: KnownMedia,
  requested: string | undefined,
  models: readonly NamedPackage[],
  defaultModel: string,
  known = knownModels(models),
): NamedPackage {
  const fits = (model: NamedPackage) => model.manifest.modality === media.kind;
  const judgesPart = (model: NamedPackage) => media.kind === 'video' && model.manifest.modality === 'audio';
  if (requested !== undefined) {
    const names = models.map((candidate) => candidate.name);
    const name = canonicalName(requested, names);
    const model = models.find((candidate) => candidate.name === name);
    if (model === undefined) throw serviceError('unknown_model', { model: requested, known });
    if (fits(model) || judgesPart(model)) return model;
    const { modality } = model.manifest;
    throw serviceError('wrong_modality', { model: requested, modality, found: media.mime, known });
  }
  const judging = models.filter(fits);
  const fitting = judging.length > 0 ? judging : models.filter(judgesPart);
  const model = fitting.find((candidate) => candidate.name === defaultModel) ?? firstOf(fitting);
  if (model === undefined) throw serviceError('no_model_for_media', { found: media.mime, known });
  return model;
}

const firstOf = (models: readonly NamedPackage[]): NamedPackage | undefined =>
  models.find(({ manifest }) => !needsOf(manifest.pipeline.type).faces) ?? models[0];

export function knownModels(models: readonly NamedPackage[]): string {
  return models.map((model) => `${model.name} (${model.manifest.modality})`).join(', ');
}

/** Tells what the models that are served could read. */
export function unsupportedMedia(found: string, models: readonly NamedPackage[]): ServiceError {
  const kinds = new Set(
    models.flatMap(({ manifest: { modality } }): MediaKind[] =>
      modality === 'audio' ? ['audio', 'video'] : [modality],
    ),
  );
  const supported = [...kinds].map((kind) => readableFormats[kind]).join('; ');
  return serviceError('unsupported_media', { found, supported });
}
