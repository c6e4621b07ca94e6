/** `version`: of this plugin. */
import { readFileSync } from 'node:fs';
import { defineCommand } from './command.ts';
import { EXIT } from './errors.ts';

export const versionCommand = defineCommand({
  name: 'version',
  summary: 'Prints the version of this plugin.',
  operands: [],
  options: {},
  run: async ({ shell }) => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(text) as { version: string };
    shell.stdout.write(`kubectl-deepfake ${version}\n`);
    return EXIT.ok;
  },
});
