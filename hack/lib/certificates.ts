/** The certificate authority of a local cluster and the certificates it signs, made with the openssl program. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { run } from './process.ts';

/** Paths of a PEM certificate and its PEM key. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** File name stem in the authority's folder. */
  readonly name: string;
  readonly commonName: string;
  /** For a client this is its Kubernetes group. */
  readonly organization?: string;
  /** DNS names and IP addresses that a server answers for. */
  readonly hosts?: readonly string[];
}

const DAYS = '3650';
const KEY_OPTIONS = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];

/** Makes the authority in `directory`, or keeps the one that is there. */
export async function ensureAuthority(directory: string): Promise<CertificateFiles> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = filesOf(directory, 'ca');
  if (!existsSync(files.certificate)) {
    await openssl(files, [
      '-subj',
      '/CN=local-cluster-ca',
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
    ]);
  }
  return files;
}

/** Issues a certificate beside its authority, or keeps one that this authority signed for the same request. */
export async function ensureCertificate(
  directory: string,
  authority: CertificateFiles,
  request: CertificateRequest,
): Promise<CertificateFiles> {
  const files = filesOf(directory, request.name);
  if (!stillGood(files, authority, request)) {
    await openssl(files, certificateArguments(authority, request));
  }
  return files;
}

/** Makes the RSA pair that signs service account tokens (`key`, and its public half as `certificate`). */
export function ensureServiceAccountKey(directory: string): CertificateFiles {
  const files = { certificate: join(directory, 'sa.pub'), key: join(directory, 'sa.key') };
  if (!existsSync(files.key) || !existsSync(files.certificate)) {
    const pair = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    writeFileSync(files.certificate, pair.publicKey);
    writeFileSync(files.key, pair.privateKey, { mode: 0o600 });
  }
  return files;
}

export function certificateArguments(authority: CertificateFiles, request: CertificateRequest): string[] {
  const organization = request.organization === undefined ? '' : `/O=${request.organization}`;
  const names = subjectAltName(request.hosts ?? []);
  return [
    ...['-CA', authority.certificate, '-CAkey', authority.key],
    ...['-subj', `${organization}/CN=${request.commonName}`],
    ...['-addext', 'basicConstraints=critical,CA:false'],
    ...['-addext', 'extendedKeyUsage=serverAuth,clientAuth'],
    ...(names === '' ? [] : ['-addext', `subjectAltName=${names}`]),
  ];
}

function subjectAltName(hosts: readonly string[]): string {
  return hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
}

function stillGood(
  files: CertificateFiles,
  authority: CertificateFiles,
  request: CertificateRequest,
): boolean {
  if (!existsSync(files.certificate) || !existsSync(files.key)) return false;
  const certificate = new X509Certificate(readFileSync(files.certificate));
  const issuer = new X509Certificate(readFileSync(authority.certificate));
  const answersFor = (host: string) =>
    (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
  return certificate.verify(issuer.publicKey) && (request.hosts ?? []).every(answersFor);
}

async function openssl(files: CertificateFiles, args: readonly string[]): Promise<void> {
  const output = ['-keyout', files.key, '-out', files.certificate, '-days', DAYS];
  await run('openssl', ['req', '-x509', ...KEY_OPTIONS, ...args, ...output]);
}

function filesOf(directory: string, name: string): CertificateFiles {
  return { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
}
