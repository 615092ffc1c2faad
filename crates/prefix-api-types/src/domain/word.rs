//! The words of the domain, which are those of the API: a word that one of them lacks does not compile.

macro_rules! words {
    ($($word:ident from $domain:path { $($variant:ident)+ })+) => {$(
        impl From<$domain> for crate::$word {
            fn from(word: $domain) -> Self {
                match word {
                    $(<$domain>::$variant => Self::$variant,)+
                }
            }
        }
    )+};
}

words! {
    ActionType from prefix_core::flowspec::ActionType { Police Discard Redirect Mark Rtbh }
    ActorType from prefix_core::audit::ActorType { System Detector Operator }
    ChainProblem from prefix_core::audit_chain::ChainProblem { Hash Link Gap ExpectMissing }
    DecisionOutcome from prefix_core::decision::Outcome {
        Mitigate Extend Hold NoPlaybook NotMitigated Refuse Withdraw Release None
    }
    Diff from prefix_policy::simulation::Diff { Same Added Missing Changed }
    EndReason from prefix_core::mitigation::EndReason {
        Ttl MaxLifetime Operator DetectorUnban Panic Safelist Revalidation DryRunEnded
    }
    EventAction from prefix_core::event::EventAction { Ban Unban }
    EventStatus from prefix_core::event::EventStatus {
        Accepted Extended Queued Held AcceptedNoPlaybook AcceptedNoMitigation Withdrawn Released NoActiveMitigation
        NotFound Rejected
    }
    GroupStatus from prefix_core::signal::GroupStatus { Open Resolved Expired }
    Guardrail from prefix_core::guardrail::Guardrail {
        Frozen NotOwned Safelisted ControlPlane PrefixLength Semantic ActionNotAllowed MatchNotAllowed MaxPorts NlriSize
        Ttl PoliceRate MaxLifetime QuietPeriod NewRate QuotaCustomer QuotaPop QuotaGlobal
    }
    MitigationStatus from prefix_core::mitigation::Status {
        Queued Pending Active Escalated Withdrawing Withdrawn Expired Rejected
    }
    PanicOrigin from prefix_core::panic::PanicOrigin { Api Direct }
    PeerState from prefix_core::announcer::SessionState {
        Idle Connect Active OpenSent OpenConfirm Established Unknown
    }
    Stage from prefix_core::decision::Stage {
        Identity Inventory Extend Correlation Playbook Rule AllowedPorts Guardrails Announce
    }
    StageResult from prefix_core::decision::StageResult { Pass Stop Skip Info }
}

#[cfg(test)]
mod tests {
    use prefix_core::guardrail::Guardrail;
    use prefix_core::mitigation::Status;
    use prefix_core::signal::GroupStatus;

    #[test]
    fn the_words_are_the_same_on_both_sides() {
        for status in Status::ALL {
            assert_eq!(crate::MitigationStatus::from(status).as_str(), status.as_str());
        }
        for guardrail in Guardrail::ALL {
            assert_eq!(crate::Guardrail::from(guardrail).as_str(), guardrail.code());
        }
        for status in GroupStatus::ALL {
            assert_eq!(crate::GroupStatus::from(status).as_str(), status.as_str());
        }
    }
}
