package org.fhirtwin.oracle;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.dao.DaoRegistry;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.match.registry.SubscriptionCanonicalizer;
import ca.uhn.fhir.jpa.subscription.model.CanonicalSubscription;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.jpa.topic.ISubscriptionTopicLoader;
import ca.uhn.fhir.jpa.topic.R4SubscriptionTopicBuilder;
import ca.uhn.fhir.jpa.topic.SubscriptionTopicConfig;
import ca.uhn.fhir.rest.api.server.SystemRequestDetails;
import org.hl7.fhir.dstu2.model.Subscription.SubscriptionChannelType;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.Basic;
import org.hl7.fhir.r4.model.Enumerations.PublicationStatus;
import org.hl7.fhir.r5.model.StringType;
import org.hl7.fhir.r5.model.Subscription;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;

/** HAPI's subscriptions to topics, by rest-hook. */
@Configuration
@Import({SubscriptionTopicConfig.class, SubscriptionSubmitterConfig.class, SubscriptionProcessorConfig.class})
public class Topics {
    private static final String TOPIC_OF_R4 = "http://fhirtwin.example/topics/observations";

    @Bean
    public SubscriptionSettings subscriptionSettings() {
        var settings = new SubscriptionSettings();
        settings.addSupportedSubscriptionType(SubscriptionChannelType.RESTHOOK);
        settings.setSubscriptionIntervalInMs(200); // by default a job looks every five seconds for what has changed
        return settings;
    }

    /** HAPI 8.6 repeats the headers that a Subscription of R4 and R4B asks for, and forgets those of R5. */
    @Bean
    @Primary
    public SubscriptionCanonicalizer repeatsHeadersOfR5(
            FhirContext fhir, SubscriptionSettings settings, PartitionSettings partitions) {
        return new SubscriptionCanonicalizer(fhir, settings, partitions) {
            @Override
            public CanonicalSubscription canonicalize(IBaseResource subscription) {
                var read = super.canonicalize(subscription);
                if (subscription instanceof Subscription r5) {
                    read.setHeaders(r5.getParameter().stream()
                            .map(each -> new StringType(each.getName() + ": " + each.getValue()))
                            .toList());
                }
                return read;
            }
        };
    }

    /**
     * Write the one topic that R4 has here, as its operator would: HAPI keeps it in a Basic resource, with extensions
     * that HAPI's own validator does not let in by POST. Clients of R4B and R5 write SubscriptionTopics of their own.
     */
    static void writeTopicOfR4(ApplicationContext beans) {
        var topic = new R4SubscriptionTopicBuilder()
                .setUrl(TOPIC_OF_R4)
                .setStatus(PublicationStatus.ACTIVE)
                .addResourceTrigger()
                .setResourceTriggerResource("Observation")
                .addResourceTriggerSupportedInteraction("create")
                .addResourceTriggerSupportedInteraction("update")
                .build();
        beans.getBean(DaoRegistry.class).getResourceDao(Basic.class).create(topic, new SystemRequestDetails());
        beans.getBean(ISubscriptionTopicLoader.class).requestRefresh(); // HAPI looks once a minute
    }

    /** HAPI asks for one; no subscription by email is taken. */
    @Bean
    public IEmailSender emailSender() {
        return details -> {
            throw new UnsupportedOperationException();
        };
    }
}
