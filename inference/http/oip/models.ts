/** The models that the protocol serves: every package as the detector, each of its graphs alone, and the ensembles. */
import { serviceError } from '../../errors.ts';
import { graphNames } from '../../models/graphs.ts';
import type { RouteDependencies } from '../server.ts';
import { ensembleInfoViews } from '../views/ensembles.ts';
import { graphModel } from './graph-model.ts';
import { ensembleModel, mediaModel } from './media-model.ts';
import type { ProtocolModel } from './model.ts';

/**
 * A package that is itself called like another one's graph comes first.
 * @throws ServiceError unknown_model, unknown_version
 */
export function findModel(
  dependencies: RouteDependencies,
  name: string,
  version: string | undefined,
): ProtocolModel {
  const { models: packages } = dependencies.analyzer;
  const detectors = packages.map((found) => mediaModel(dependencies, found));
  const graphs = graphNames.flatMap((name) =>
    packages.flatMap((found) => graphModel(dependencies, found, name) ?? []),
  );
  const ensembles = ensembleInfoViews(dependencies.analyzer).map((found) =>
    ensembleModel(dependencies, found),
  );
  const models: readonly ProtocolModel[] = [...detectors, ...ensembles, ...graphs];
  const model = models.find((candidate) => candidate.name === name);
  if (model === undefined) {
    const known = models.map((candidate) => candidate.name).join(', ');
    throw serviceError('unknown_model', { model: name, known });
  }
  if (version === undefined || version === model.version) return model;
  throw serviceError('unknown_version', { model: name, version, known: model.version });
}
