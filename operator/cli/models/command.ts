/** `models`: what there is to serve. */
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../controllers/kinds.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../errors.ts';
import { drawing, STRUCTURED, structured } from '../output.ts';
import { renderModels } from './table.ts';

export const modelsCommand = defineCommand({
  name: 'models',
  summary: 'Lists the DeepfakeModels: their state, version, size and digest, and who uses them.',
  operands: [],
  options: {
    'all-namespaces': { type: 'boolean', short: 'A', help: 'List the models of every namespace.' },
    output: {
      type: 'string',
      short: 'o',
      value: 'FORMAT',
      choices: ['wide', ...STRUCTURED],
      help: 'More columns, or the objects for programs.',
    },
  },
  run: async ({ values, shell, colours, connect }) => {
    const { client, namespace } = connect();
    const everywhere = values['all-namespaces'] ?? false;
    const query = everywhere ? {} : { namespace };
    const { items: models } = await client.list(DEEPFAKE_MODEL, query, shell.signal);
    const objects = structured(values.output, { apiVersion: 'v1', kind: 'List', items: models });
    if (objects !== undefined) {
      shell.stdout.write(`${objects}\n`);
      return EXIT.ok;
    }
    if (models.length === 0) {
      shell.stdout.write(
        `there are no DeepfakeModels in ${everywhere ? 'the cluster' : `namespace ${namespace}`}\n`,
      );
      return EXIT.ok;
    }
    const { items: deployments } = await client.list(MODEL_DEPLOYMENT, query, shell.signal);
    const page = { models, deployments, everywhere, wide: values.output === 'wide' };
    shell.stdout.write(`${renderModels(page, drawing(colours))}\n`);
    return EXIT.ok;
  },
});
