/** Which models judge a file, one or several, where a request may name models, an ensemble, or all. Pure. */
import { serviceError } from '../../errors.ts';
import { canonicalName } from '../../models/names.ts';
import type { NamedPackage } from '../../models/package.ts';
import { chooseModel, type KnownMedia, knownModels } from '../model-choice.ts';
import { adHocGroup, type Ensemble, type Group, maxMembers, withServingNames } from './ensemble.ts';

/** What a request asks for; nothing: the model that fits the media. */
export interface Wanted {
  /** Name of a model or of an ensemble. */
  readonly model?: string | undefined;
  /** Names of models, the name of an ensemble alone, or all models that fit the media. */
  readonly models?: readonly string[] | 'all' | undefined;
}

export interface Served {
  readonly models: readonly NamedPackage[];
  readonly ensembles: readonly Ensemble[];
  readonly defaultModel: string;
}

/** A model of an ensemble that does not judge this file. */
export interface Absentee {
  readonly model: string;
  /** not_active: unloaded; wrong_modality: it judges another kind of media. */
  readonly reason: 'not_active' | 'wrong_modality';
}

export type Selection =
  | { readonly type: 'one'; readonly model: NamedPackage }
  | {
      readonly type: 'several';
      readonly group: Group;
      /** Those that judge the file; at least one. */
      readonly members: readonly NamedPackage[];
      readonly absentees: readonly Absentee[];
    };

/** @throws ServiceError unknown_model, wrong_modality, no_model_for_media, invalid_request */
export function select(media: KnownMedia, wanted: Wanted, served: Served): Selection {
  const names = namesOf(wanted);
  if (names === 'all') return ofAll(media, served);
  const [first, ...others] = names;
  const ensembles = names.map((name) => ensembleCalled(name, served));
  const ensemble = ensembles.find((one) => one !== undefined);
  if (ensemble !== undefined) {
    if (others.length === 0) return ofEnsemble(media, ensemble, served, first ?? '');
    throw serviceError('invalid_request', {
      reason: `the ensemble "${ensemble.name}" has models and weights of its own: ask for it alone`,
    });
  }
  if (others.length === 0) {
    const { models, defaultModel } = served;
    return { type: 'one', model: chooseModel(media, first, models, defaultModel, knownNames(served)) };
  }
  return ofList(media, names, served);
}

/** The ensemble that is meant by a name; undefined where it is none's. */
export function ensembleCalled(
  name: string | undefined,
  { models, ensembles }: Pick<Served, 'models' | 'ensembles'>,
): Ensemble | undefined {
  if (name === undefined) return undefined;
  const all = [...models, ...ensembles].flatMap((one) => one.name ?? []);
  const meant = canonicalName(name, all);
  return ensembles.find((ensemble) => ensemble.name === meant);
}

export function judges(model: NamedPackage, { kind }: KnownMedia): boolean {
  const { modality } = model.manifest;
  return modality === kind || (kind === 'video' && modality === 'audio');
}

function namesOf({ model, models }: Wanted): readonly (string | undefined)[] | 'all' {
  if (models === undefined) return [model];
  return models;
}

function ofAll(media: KnownMedia, served: Served): Selection {
  const fitting = served.models.filter((model) => judges(model, media));
  if (fitting.length > maxMembers)
    throw serviceError('invalid_request', {
      reason: `${fitting.length} models fit the media, and all of them are asked for, which may be ${maxMembers}: name those that are meant`,
    });
  if (fitting.length > 1)
    return { type: 'several', group: adHocGroup(fitting), members: fitting, absentees: [] };
  return { type: 'one', model: chooseModel(media, undefined, served.models, served.defaultModel) };
}

function ofList(media: KnownMedia, names: readonly (string | undefined)[], served: Served): Selection {
  const { models } = served;
  const listed = names.map((wanted = '') => {
    const name = canonicalName(
      wanted,
      models.map((model) => model.name),
    );
    const model = models.find((candidate) => candidate.name === name);
    if (model !== undefined) return model;
    throw serviceError('unknown_model', { model: wanted, known: knownNames(served) });
  });
  const distinct = [...new Set(listed)];
  const [only] = distinct;
  if (distinct.length === 1)
    return { type: 'one', model: chooseModel(media, only?.name, models, served.defaultModel) };
  const members = distinct.filter((model) => judges(model, media));
  const [first] = distinct;
  // Its error says what none of them can judge.
  if (members.length === 0) chooseModel(media, first?.name, models, served.defaultModel);
  return {
    type: 'several',
    group: { ...adHocGroup(members), models: distinct.map(({ name }) => name) },
    members,
    absentees: distinct
      .filter((model) => !members.includes(model))
      .map(({ name }) => ({ model: name, reason: 'wrong_modality' })),
  };
}

function ofEnsemble(media: KnownMedia, configured: Ensemble, served: Served, asked: string): Selection {
  const { models } = served;
  const ensemble = withServingNames(
    configured,
    models.map(({ name }) => name),
  );
  const found = ensemble.models.map((name) => ({ name, model: models.find((one) => one.name === name) }));
  const members = found.flatMap(({ model }) => (model !== undefined && judges(model, media) ? [model] : []));
  if (members.length === 0) {
    const kinds = new Set(found.flatMap(({ model }) => model?.manifest.modality ?? []));
    const modality = [...kinds].join(' and ') || 'nothing while its models are unloaded';
    const known = knownNames(served);
    throw serviceError('wrong_modality', { model: asked, modality, found: media.mime, known });
  }
  return {
    type: 'several',
    group: ensemble,
    members,
    absentees: found.flatMap(({ name, model }): Absentee[] => {
      if (model === undefined) return [{ model: name, reason: 'not_active' }];
      return judges(model, media) ? [] : [{ model: name, reason: 'wrong_modality' }];
    }),
  };
}

/** Models and ensembles, for a person. */
export function knownNames({ models, ensembles }: Pick<Served, 'models' | 'ensembles'>): string {
  const grouped = ensembles.map(({ name, models: members }) => `${name} (ensemble of ${members.join(', ')})`);
  return [knownModels(models), ...grouped].filter((text) => text !== '').join(', ');
}
