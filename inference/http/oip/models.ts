/** The models that the protocol serves: every package twice, as the detector and as its graph alone. */
import { serviceError } from '../../errors.ts';
import type { RouteDependencies } from '../server.ts';
import { graphModel } from './graph-model.ts';
import { mediaModel } from './media-model.ts';
import type { ProtocolModel } from './model.ts';

export function protocolModels(dependencies: RouteDependencies): readonly ProtocolModel[] {
  return dependencies.analyzer.models.flatMap((model) => {
    const graph = graphModel(dependencies, model);
    return [mediaModel(dependencies, model), ...(graph === undefined ? [] : [graph])];
  });
}

/**
 * A package that is itself called like another one's graph comes first.
 * @throws ServiceError unknown_model, unknown_version
 */
export function findModel(
  dependencies: RouteDependencies,
  name: string,
  version: string | undefined,
): ProtocolModel {
  const models = protocolModels(dependencies);
  const candidates = models.filter((candidate) => candidate.name === name);
  const model = candidates.find(({ platform }) => platform === 'deepfake_detector') ?? candidates[0];
  if (model === undefined) {
    const known = models.map((candidate) => candidate.name).join(', ');
    throw serviceError('unknown_model', { model: name, known });
  }
  if (version === undefined || version === model.version) return model;
  throw serviceError('unknown_version', { model: name, version, known: model.version });
}
