/** `<name>.graph`: the graph of a package alone, tensors in and tensors out, without decoding, calibration and verdict. */
import type { NamedPackage } from '../../models/package.ts';
import { withinDeadline } from '../exchange.ts';
import type { RouteDependencies } from '../server.ts';
import type { ProtocolModel } from './model.ts';

/** A slash would be the plainer separator, but clients put names into URLs without escaping it. */
const suffix = '.graph';

export function graphModelName(packageName: string): string {
  return packageName + suffix;
}

/** The package's name, of a graph as of the model around it. */
export function packageNameOf(model: string): string {
  return model.endsWith(suffix) ? model.slice(0, -suffix.length) : model;
}

/** Undefined before the graph is loaded, and for one that takes what tensors of the protocol cannot hold. */
export function graphModel(
  { analyzer, statistics }: RouteDependencies,
  model: NamedPackage,
): ProtocolModel | undefined {
  const metadata = analyzer.graph(model.name);
  if (metadata === undefined) return undefined;
  const name = graphModelName(model.name);
  return {
    name,
    version: model.manifest.version,
    platform: 'onnx_onnxv1',
    ...metadata,
    infer: async (exchange, inputs, outputs) => {
      const startedAt = performance.now();
      try {
        const tensors = inputs.map(({ name, type, shape, data }) => ({ name, type, shape, data }));
        const completed = await withinDeadline(exchange, (signal) =>
          analyzer.infer(model, tensors, outputs, { signal, priority: exchange.priority }),
        );
        const { queueMs, inferMs } = completed;
        statistics.executed(name, 1, inferMs);
        const requestMs = performance.now() - startedAt;
        statistics.succeeded(name, { requestMs, queueMs, inputMs: 0, inferMs });
        return completed.outputs;
      } catch (error) {
        statistics.failed(name, performance.now() - startedAt);
        throw error;
      }
    },
  };
}
