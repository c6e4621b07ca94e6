/** `analyze FILE`: a verdict from a pod of the cluster. */
import { stat } from 'node:fs/promises';
import { fileTypeFromFile } from 'file-type';
import { LABEL } from '../../api/names.ts';
import {
  DEEPFAKE_MODEL,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  POD,
  SECRET,
} from '../../controllers/kinds.ts';
import { messageOf } from '../../runtime/errors.ts';
import { timerMs } from '../arguments.ts';
import { defineCommand, type Shell } from '../command.ts';
import { CommandError, EXIT } from '../errors.ts';
import { drawing, STRUCTURED, structured } from '../output.ts';
import type { Session } from '../session.ts';
import { oneLine } from '../text.ts';
import { type Answer, renderAnswer } from './answer.ts';
import { ask, type Route } from './ask.ts';
import { chooseDeployment, choosePod, modalitiesOf } from './choose.ts';

const KEY_VARIABLE = 'DEEPFAKE_API_KEY';
/** Uploading a film takes its time, ms. */
const DEFAULT_TIMEOUT_MS = 300_000;

export const analyzeCommand = defineCommand({
  name: 'analyze',
  summary: 'Sends a media file to a detector and prints the verdict with its reasons.',
  operands: [{ name: 'FILE', completes: 'files' }],
  options: {
    deployment: {
      type: 'string',
      value: 'NAME',
      completes: 'modeldeployments',
      help: 'ModelDeployment to ask. Default: the only one that analyses such media.',
    },
    model: {
      type: 'string',
      value: 'NAME',
      completes: 'deepfakemodels',
      help: 'DeepfakeModel to ask. Default: the one that the pod chooses.',
    },
    'api-key': {
      type: 'string',
      value: 'KEY',
      help: `Default: the variable ${KEY_VARIABLE}, then the ModelDeployment's Secret.`,
    },
    via: {
      type: 'string',
      value: 'ROUTE',
      choices: ['proxy', 'port-forward'] satisfies Route[],
      help: "Default: the API server's proxy, and a forwarded port where that does not reach the pod.",
    },
    timeout: {
      type: 'string',
      value: 'DURATION',
      help: 'How long upload and analysis may take. Default 5m.',
    },
    output: {
      type: 'string',
      short: 'o',
      value: 'FORMAT',
      choices: STRUCTURED,
      help: "Print the pod's answer for programs.",
    },
  },
  details: `The key is read from the Secret with your own rights. The exit code is ${EXIT.ok} whatever the verdict.`,
  run: async ({ values, operands: [file = ''], shell, colours, connect }) => {
    const timeoutMs = timerMs('timeout', values.timeout) ?? DEFAULT_TIMEOUT_MS;
    await checkFile(file);
    const mime = (await fileTypeFromFile(file))?.mime;
    const session = connect();
    const { client, namespace } = session;
    const { items: deployments } = await client.list(MODEL_DEPLOYMENT, { namespace }, shell.signal);
    const { items: models } = await client.list(DEEPFAKE_MODEL, { namespace }, shell.signal);
    const { deployment: wanted, model } = values;
    const deployment = chooseDeployment(
      { namespace, deployment: wanted, model, modalities: modalitiesOf(mime) },
      deployments,
      models,
    );
    const labelSelector = `${LABEL.modelDeployment}=${deployment.metadata.name}`;
    const { items: pods } = await client.list(POD, { namespace, labelSelector }, shell.signal);
    const target = choosePod(deployment, pods);
    const apiKey = values['api-key'] ?? shell.env[KEY_VARIABLE] ?? (await keyOf(deployment, session, shell));
    const signal = AbortSignal.any([shell.signal, AbortSignal.timeout(timeoutMs)]);
    const question = { file, mime, model, apiKey, target, signal };
    const note = (text: string) => shell.stderr.write(`${oneLine(text)}\n`);
    const answer = await ask(session, question, values.via as Route | undefined, note);
    const text =
      structured(values.output, answer) ?? renderAnswer(file, answer as Answer, drawing(colours).paint);
    shell.stdout.write(`${text}\n`);
    return EXIT.ok;
  },
});

async function checkFile(file: string): Promise<void> {
  const found = await stat(file).catch((error: unknown) => {
    throw new CommandError(`the file cannot be read: ${messageOf(error)}`);
  });
  if (!found.isFile()) throw new CommandError(`${file} is not a file`);
}

/** The first of the keys that the pods accept. @throws CommandError where the Secret has none */
async function keyOf(
  { metadata, status }: ModelDeployment,
  { client, namespace }: Session,
  { signal }: Shell,
): Promise<string> {
  const ways = `give one with --api-key or ${KEY_VARIABLE}`;
  const { authSecret } = status ?? {};
  if (!authSecret)
    throw new CommandError(`ModelDeployment ${metadata.name} names no Secret with an API key: ${ways}`);
  const { name, key } = authSecret;
  const secret = await client.find(SECRET, { name, namespace }, signal);
  const keys = Buffer.from(secret?.data?.[key] ?? '', 'base64').toString();
  const [first] = keys.split(',').flatMap((entry) => entry.trim() || []);
  if (first === undefined)
    throw new CommandError(`Secret ${name} in namespace ${namespace} has no API key ${key}: ${ways}`);
  return first;
}
