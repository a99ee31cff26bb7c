// fhir-kit-client asks our server what any client of its kind does, and tells what it got, as JSON.
import { Client } from "fhir-kit-client";
const { base, token, patient } = JSON.parse(process.argv[2]);
const client = new Client({ baseUrl: base, bearerToken: token });
const smart = await client.smartAuthMetadata();
const capability = await client.capabilityStatement();
const read = await client.read({ resourceType: "Patient", id: patient });
let page = await client.search({ resourceType: "Observation", searchParams: { patient, _count: 20 } });
const found = [];
while (page) {
  found.push(...(page.entry || []).map((entry) => entry.resource.id));
  page = (page.link || []).some((link) => link.relation === "next") ? await client.nextPage({ bundle: page }) : null;
}
const history = await client.history({ resourceType: "Patient", id: patient });
const missing = await client.read({ resourceType: "Patient", id: "nobody" }).catch((error) => error.response?.status);
console.log(JSON.stringify({ token_endpoint: String(smart.tokenUrl), fhirVersion: capability.fhirVersion, read: read.id, found, history: history.type, missing }));
