//! The labels of a notification's route, expanded (`renderRouteLabels` in `dispatch/dispatch.go`
//! and `routeLabelResolver` in `template/template.go` of Alertmanager).

use std::collections::BTreeMap;

use super::{Outgoing, RouteLabels};
use crate::template::notification::{Dot, NotificationData};

impl Outgoing<'_> {
    /// The labels of the route that the notification's group is of, as the configuration in force
    /// has them; none where there is no such route any more.
    pub(super) fn route_labels(&self) -> Option<&RouteLabels> {
        let notification = self.notification;
        let route = self
            .config
            .route
            .of_group(&notification.group_key, &notification.group_labels)?;
        Some(&route.labels).filter(|labels| !labels.is_empty())
    }

    /// These expanded. One that fails is left out, as Alertmanager leaves it out: others may stand
    /// without it.
    pub(super) fn expanded_route_labels(
        &self,
        data: &NotificationData<'_>,
    ) -> BTreeMap<String, String> {
        let Some(labels) = self.route_labels() else {
            return BTreeMap::new();
        };
        // Of the reason they know nothing, in Alertmanager neither.
        let data = NotificationData {
            reason: "unknown".to_owned(),
            route_labels: labels
                .iter()
                .map(|(name, template)| (name.clone(), template.source().to_owned()))
                .collect(),
            ..data.clone()
        };
        let dot = Dot::with_route_labels(&data, labels);
        labels
            .iter()
            .filter_map(|(name, template)| {
                let expanded = template.expand_label(name, &self.config.templates, &dot);
                Some((name.clone(), expanded.ok()?))
            })
            .collect()
    }
}
