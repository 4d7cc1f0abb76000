// What LiveKit's own packages make of a token: livekit-client fetches it, livekit-server-sdk checks and reads it.
// node token.mjs URL OPTIONS KEY SECRET; prints both as JSON.
import { TokenVerifier } from "livekit-server-sdk";
import { TokenSource } from "../../shared/gateway/page/node_modules/livekit-client/dist/livekit-client.esm.mjs";

const [url, options, key, secret] = process.argv.slice(2);
const answer = await TokenSource.endpoint(url).fetch(JSON.parse(options));
const claims = await new TokenVerifier(key, secret).verify(answer.participantToken);
console.log(JSON.stringify({ answer, claims }));
