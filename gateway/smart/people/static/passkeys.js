// Passkeys (WebAuthn level 3). Each form with data-passkey asks the authenticator, and sends what it says as a field.
"use strict";
for (const form of document.querySelectorAll("form[data-passkey]")) {
  const usable = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON;
  if (!usable) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    const field = form.elements.credential;
    if (field.value) return;
    event.preventDefault();
    try {
      const options = JSON.parse(form.dataset.options);
      const credential = form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      field.value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (error) {
      form.querySelector("[data-failed]").hidden = false;
    }
  });
}
