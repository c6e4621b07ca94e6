/** `<name>.graph`: a graph of a package alone, tensors in and tensors out, without decoding, calibration and verdict. */
import { type GraphName, graphNames } from '../../models/graphs.ts';
import type { NamedPackage } from '../../models/package.ts';
import { withinDeadline } from '../exchange.ts';
import type { RouteDependencies } from '../server.ts';
import type { ProtocolModel } from './model.ts';

/** A slash would be the plainer separator, but clients put names into URLs without escaping it. */
const suffix = '.graph';

/** `x.graph` is the classifier of x, `x.encoder.graph` its encoder. */
export function graphModelName(packageName: string, graph: GraphName): string {
  return packageName + (graph === 'classifier' ? suffix : `.${graph}${suffix}`);
}

/** Those packages of which a graph could have this name, and the package of this name itself, in the order in which they come. */
export function packageNamesOf(model: string): string[] {
  const ofGraphs = graphNames.flatMap((graph) => {
    const ending = graphModelName('', graph);
    return model.endsWith(ending) ? [model.slice(0, -ending.length)] : [];
  });
  return [model, ...ofGraphs];
}

/** Undefined before the graph is loaded, and for one that is not there or takes what tensors of the protocol cannot hold. */
export function graphModel(
  { analyzer, statistics }: RouteDependencies,
  model: NamedPackage,
  graph: GraphName,
): ProtocolModel | undefined {
  const metadata = analyzer.graph(model.name, graph);
  if (metadata === undefined) return undefined;
  const name = graphModelName(model.name, graph);
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
          analyzer.infer(model, graph, tensors, outputs, { signal, priority: exchange.priority }),
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
