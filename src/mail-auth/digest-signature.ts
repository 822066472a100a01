/**
 * Signatures of a SHA-256 digest: RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2) and Ed25519 of a digest (RFC 8463).
 *
 * The digest is made before: seals of a chain cover each what the one below covers, and hash that once.
 */
import { constants, publicDecrypt, verify } from 'node:crypto';
import type { ReadKey } from './public-keys.ts';

/** The DigestInfo of SHA-256 up to the digest, in DER (RFC 8017 section 9.2). */
const DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/** @param signature in base64 */
export function isSignatureOf(
  digest: Buffer,
  signature: string,
  { publicKey, modulusLength }: ReadKey,
): boolean {
  const bytes = Buffer.from(signature, 'base64');
  if (modulusLength === undefined) return verify(null, digest, publicKey, bytes);
  if (bytes.length !== Math.ceil(modulusLength / 8)) return false;
  try {
    const signed = publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, bytes);
    return signed.equals(Buffer.concat([DIGEST_INFO, digest]));
  } catch {
    // Another key's, or no padding of a signature.
    return false;
  }
}
