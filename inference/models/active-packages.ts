/** The packages that the configuration wants served, as they are on disk. */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { fusionContradictions } from '../config/fusion.ts';
import { DamagedPackageError, messageOf, StartupError, serviceError } from '../errors.ts';
import { canonicalName, isSameName } from './names.ts';
import { loadPackage, type NamedPackage, PackageError, packageNames } from './package.ts';
import { PrecisionError, servedManifest } from './variants.ts';

export interface FoundPackages {
  readonly packages: readonly NamedPackage[];
  /** What keeps the others from being served, each with one line: StartupError or DamagedPackageError. */
  readonly problems: readonly unknown[];
}

/** Looks at every package, whatever is wrong with the one before. @throws StartupError: there is no folder of packages */
export async function findPackages(config: Config): Promise<FoundPackages> {
  const found = await packageNames(config.modelsDirectory).catch((error: unknown) => {
    throw error instanceof PackageError ? new StartupError(error.message, 1, { cause: error }) : error;
  });
  const names = config.activeModels?.map((name) => canonicalName(name, found)) ?? found;
  // A package that is pinned has been there: where it is gone, loading it tells so.
  const isKnown = (name: string) => found.includes(name) || config.modelDigests.has(name);
  const outcomes = await Promise.allSettled(names.filter(isKnown).map((name) => activePackage(name, config)));
  return {
    packages: outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])),
    problems: [
      ...unknownNames(names, found, config, isKnown),
      ...fusionContradictions(config.ensembles, names).map(
        ({ variable, message }) => new StartupError(`${variable}: ${message}`, 1),
      ),
      ...outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : [])),
    ],
  };
}

/** @throws StartupError, DamagedPackageError: the first of what `findPackages` found wrong */
export async function activePackages(config: Config): Promise<readonly NamedPackage[]> {
  const { packages, problems } = await findPackages(config);
  if (problems.length > 0) throw problems[0];
  return packages;
}

/** @throws ServiceError model_not_found: only names that are there lead to files; those of `activePackages` */
export async function packageOnDisk(name: string, config: Config): Promise<NamedPackage> {
  const found = await packageNames(config.modelsDirectory);
  if (!found.includes(name)) throw serviceError('model_not_found', { model: name, known: found.join(', ') });
  const namesake = config.ensembles.find((ensemble) => isSameName(ensemble.name, name));
  if (namesake !== undefined) throw new Error(`an ensemble of FUSION is called "${namesake.name}"`);
  return activePackage(name, config);
}

async function activePackage(name: string, config: Config): Promise<NamedPackage> {
  try {
    const digest = config.modelDigests.get(name);
    const found = await loadPackage(join(config.modelsDirectory, name), digest);
    return { ...found, ...servedManifest(found.manifest, config.device, config.precision), name };
  } catch (error) {
    if (error instanceof PrecisionError) throw new StartupError(error.message, 1, { cause: error });
    if (!(error instanceof PackageError)) {
      const where = join(config.modelsDirectory, name);
      throw new StartupError(`${where}: cannot be read (${messageOf(error)}); check the volume`, 1, {
        cause: error,
      });
    }
    throw new DamagedPackageError(name, error.reason, error.message, { cause: error });
  }
}

function unknownNames(
  names: readonly string[],
  found: readonly string[],
  config: Config,
  isKnown: (name: string) => boolean,
): StartupError[] {
  const where = `${config.modelsDirectory} holds ${found.length === 0 ? 'no model package' : found.join(', ')}`;
  if (names.length === 0)
    return [new StartupError(`${where}; set MODELS_DIR to the folder that holds the model packages`, 1)];
  const wanted = {
    ACTIVE_MODELS: names,
    DEFAULT_MODEL_NAME: config.defaultModel === undefined ? [] : [canonicalName(config.defaultModel, names)],
    MODEL_DIGESTS: [...config.modelDigests.keys()],
  };
  return Object.entries(wanted).flatMap(([variable, list]) => {
    const missing = list.filter((name) => !isKnown(name) || !names.includes(name));
    if (missing.length === 0) return [];
    const message = `${variable}: there is no active model called ${missing.join(', ')}; ${where}`;
    return [new StartupError(message, 1)];
  });
}
