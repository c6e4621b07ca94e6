/** `rollout plan FILE|NAME`: what a rollout will do, before it does it. */
import {
  type ModelDeploymentSpec,
  modelDeploymentDefinition,
  modelDeploymentSpec,
} from '../../api/model-deployment.ts';
import { MODEL_DEPLOYMENT } from '../../controllers/kinds.ts';
import { parseSpec } from '../../controllers/problems.ts';
import { defineCommand, type Invocation } from '../command.ts';
import { CommandError, EXIT, noDeployment, usageError } from '../errors.ts';
import { drawing, STRUCTURED, structured } from '../output.ts';
import { contentOf } from './lint/command.ts';
import { manifestsIn } from './lint/documents.ts';
import { lintText, reportText } from './lint/lint.ts';
import { planOf, renderPlan } from './plan.ts';

export const planCommand = defineCommand({
  name: 'rollout plan',
  summary: 'Tells what a rollout will do to the pods, step by step, without doing it.',
  operands: [{ name: 'FILE|NAME', completes: 'modeldeployments' }],
  options: {
    replicas: {
      type: 'string',
      value: 'N',
      help: 'Plan for so many pods. Default: spec.replicas, or the fewest of the autoscaler.',
    },
    output: {
      type: 'string',
      short: 'o',
      value: 'FORMAT',
      choices: STRUCTURED,
      help: 'Print the plan for programs.',
    },
  },
  details: `What has a dot or a slash in it, or is - for standard input, is a FILE; anything else is the NAME of a ModelDeployment in the cluster.`,
  run: async (invocation) => {
    const { values, operands, shell, colours } = invocation;
    const [operand = ''] = operands;
    const replicas = podCount(values.replicas);
    const found = isFile(operand)
      ? await fromFile(operand, invocation)
      : await fromCluster(operand, invocation);
    const plans = found.map(({ name, spec }) => planOf(name, spec, replicas));
    const text =
      structured(values.output, plans) ??
      plans.map((plan) => renderPlan(plan, drawing(colours))).join('\n\n');
    shell.stdout.write(`${text}\n`);
    return EXIT.ok;
  },
});

const isFile = (operand: string) => operand === '-' || /[./]/.test(operand);

function podCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count > 1000) {
    throw usageError(`--replicas has to be a number of pods, 0 to 1000; found "${text}"`);
  }
  return count;
}

interface Planned {
  readonly name: string;
  readonly spec: ModelDeploymentSpec;
}

async function fromFile(file: string, { shell }: Pick<Invocation, 'shell'>): Promise<Planned[]> {
  const text = await contentOf(file, shell);
  const wrong = lintText(file, text).find(({ severity }) => severity === 'error');
  if (wrong) throw new CommandError(`${reportText(wrong)}; rollout lint tells all`);
  const ours = manifestsIn(text).manifests.filter(
    ({ object }) => object['kind'] === modelDeploymentDefinition.kind,
  );
  if (ours.length === 0) throw new CommandError(`${file} has no ModelDeployment`);
  return ours.map(({ object }) => ({
    name: (object['metadata'] as { readonly name: string }).name,
    spec: modelDeploymentSpec.parse(object['spec']),
  }));
}

async function fromCluster(
  name: string,
  { shell, connect }: Pick<Invocation, 'shell' | 'connect'>,
): Promise<Planned[]> {
  const { client, namespace } = connect();
  const found = await client.find(MODEL_DEPLOYMENT, { namespace, name }, shell.signal);
  if (!found) throw noDeployment(name, namespace);
  return [{ name, spec: parseSpec(modelDeploymentSpec, found.spec) }];
}
