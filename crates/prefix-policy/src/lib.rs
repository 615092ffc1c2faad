//! Pure mitigation policy: inventory, vectors, playbooks, escalation and guardrails.
