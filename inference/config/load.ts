/** Puts the layers of the configuration together: the environment before `.env` before `config.yaml`. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { envFileLayer } from './env-file.ts';
import { environmentLayer, type Layer, placeOf, type Setting, type Settings } from './settings.ts';
import { variables } from './variables.ts';
import { yamlFileLayer } from './yaml-file.ts';

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Goes before CONFIG_FILE; without both, `./config.yaml` is read where there is one. */
  readonly configFile?: string | undefined;
  /** Without it, `./.env` is read where there is one. */
  readonly envFile?: string | undefined;
}

const nothing: Layer = { settings: new Map(), problems: [] };

/** Names that a file of settings may use. */
const namesInFiles = variables.flatMap(({ name, fileVariable }) =>
  fileVariable === undefined ? [name] : [name, fileVariable],
);

const structuredNames = new Set(variables.flatMap(({ name, isStructured }) => (isStructured ? [name] : [])));

/** Every value that is set anywhere, with its place; problems with files and paths are collected. */
export function loadSettings({ env, configFile, envFile }: ConfigSources): Layer {
  const environmentVariables = environmentLayer(env);
  const dotEnv = fileLayer(envFile ?? existing('.env'), '--env-file', (path, text) => ({
    settings: envFileLayer(path, text),
    problems: [],
  }));
  const configPath =
    configFile ??
    environmentVariables.get('CONFIG_FILE')?.value ??
    dotEnv.settings.get('CONFIG_FILE')?.value ??
    existing('config.yaml');
  const yaml = fileLayer(configPath, 'CONFIG_FILE', (path, text) =>
    yamlFileLayer(path, text, namesInFiles, structuredNames),
  );
  // From the lowest to the highest.
  const layers = [yaml, dotEnv, { settings: environmentVariables, problems: [] }].map(withSecretsFromFiles);
  const settings: Settings = new Map(layers.flatMap((layer) => [...layer.settings]));
  return {
    settings,
    problems: [...layers.flatMap(({ problems }) => problems), ...unreadablePaths(settings)],
  };
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

function fileLayer(
  path: string | undefined,
  givenBy: string,
  parse: (path: string, text: string) => Layer,
): Layer {
  if (path === undefined) return nothing;
  try {
    return parse(path, readFileSync(path, 'utf8'));
  } catch (error) {
    return { ...nothing, problems: [`${givenBy}: ${path} cannot be read (${messageOf(error)})`] };
  }
}

/** Replaces NAME_FILE by NAME with what the file holds, without the line end that editors leave. */
function withSecretsFromFiles({ settings, problems }: Layer): Layer {
  const found: string[] = [];
  const secrets = variables.flatMap(({ name, fileVariable: variable }): [string, Setting][] => {
    if (variable === undefined) return [];
    const path = settings.get(variable)?.value;
    if (path === undefined) return [];
    const where = variable + placeOf(settings, variable);
    if (settings.has(name)) {
      found.push(`${where}: ${name} is set beside it; keep one`);
      return [];
    }
    try {
      const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
      if (value === '') found.push(`${where}: ${path} is empty`);
      return [[name, { value, place: `${path}, by ${variable}` }]];
    } catch (error) {
      found.push(`${where}: ${path} cannot be read (${messageOf(error)})`);
      return [];
    }
  });
  return { settings: new Map([...settings, ...secrets]), problems: [...problems, ...found] };
}

function unreadablePaths(settings: Settings): string[] {
  return variables.flatMap(({ name, fallback, isPath }) => {
    const path = settings.get(name)?.value ?? fallback;
    if (!isPath || path === undefined) return [];
    try {
      accessSync(path, constants.R_OK);
      return [];
    } catch (error) {
      return [`${name}${placeOf(settings, name)}: ${path} cannot be read (${messageOf(error)})`];
    }
  });
}
